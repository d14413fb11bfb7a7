"""Flags that commands share, and what they mean: settings, recipes, the model to use."""
