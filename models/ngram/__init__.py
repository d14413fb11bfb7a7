"""Kneser-Ney language models: counting, discounts, smoothing, the trie."""
