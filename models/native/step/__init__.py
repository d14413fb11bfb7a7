"""The compiled step that every sequence of the engine advances by, and the structures it shares with Python."""
