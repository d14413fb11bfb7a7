"""Recurrent networks in torch: cells, layers, language model, classifier."""
