"""What a checkpoint holds: configurations, cells, models, tokenizers and their files. Knows nobody here."""
