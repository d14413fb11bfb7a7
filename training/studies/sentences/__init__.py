"""Sentences of the same words in another order, as batches, and what classifies them."""
