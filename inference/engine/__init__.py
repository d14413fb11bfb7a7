"""Slots, steps and who gets them; knows no model, no text and no event loop."""
