"""Measures a trained model: perplexity, accuracy, dynamic evaluation, neural cache."""
