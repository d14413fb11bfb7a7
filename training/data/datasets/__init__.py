"""The registry of corpora, and how one of them is read."""
