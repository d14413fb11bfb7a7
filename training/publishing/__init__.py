"""What goes with a checkpoint: its card, licences, and the way to a hub."""
