"""What can be asked of a model, one file each, and constraints on what it may write (`constraints.py`)."""
