"""What can be asked of a model, one operation a file: generators over token ids, which no driver is known to."""
