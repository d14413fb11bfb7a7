"""The training loop: objective, optimizer, precision, processes and snapshots."""
