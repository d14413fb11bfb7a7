"""What a run minimises: an objective for each task."""
