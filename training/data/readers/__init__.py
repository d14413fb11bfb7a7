"""Readers of corpora, one file a source; a new corpus goes here."""
