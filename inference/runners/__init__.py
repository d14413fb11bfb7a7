"""What runs a model's steps: the integer form in native code, or torch."""
