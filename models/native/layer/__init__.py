"""The compiled recurrent layer that networks are trained with."""
