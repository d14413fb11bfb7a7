"""Recipe and corpus to everything that a run needs before its first step."""
