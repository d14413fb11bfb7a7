"""Run a model's steps for the engine: int8 in native code, or torch; precision is chosen here."""
