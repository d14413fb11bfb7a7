"""Slots, scheduling and steps; knows no model, no text and no event loop."""
