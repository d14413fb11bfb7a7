"""Measuring a trained model: perplexity, adaptation, neural cache."""
