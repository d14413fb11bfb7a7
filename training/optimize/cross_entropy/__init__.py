"""Cross-entropies of a large vocabulary, with their gradients found on the way forward."""
