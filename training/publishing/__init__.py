"""What goes out with a checkpoint: card, licence."""
