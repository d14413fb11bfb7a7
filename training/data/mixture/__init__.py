"""Corpora built from many sources: what each source is, its splits, kept apart from tests, written to files."""
