"""Kneser-Ney language models: counting, smoothing, and the trie that is asked."""
