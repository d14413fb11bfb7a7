"""Corpora, their readers, and how texts become files of tokens and batches."""
