"""The engine: schedule, run, update. Knows nothing of HTTP."""
