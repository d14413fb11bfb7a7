"""Texts and files of documents that commands read and write."""
