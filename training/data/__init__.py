"""Corpora and their registry, one's own text, files of token ids, batches."""
