"""A whole run: recipe in, checkpoint directory out."""
