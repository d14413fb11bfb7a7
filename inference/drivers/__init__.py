"""Who runs operations: the thread that waits, a thread that serves event loops, or batches of whole texts."""
