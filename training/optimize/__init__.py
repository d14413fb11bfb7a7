"""The training loop: objectives, optimizers, precision, processes, snapshots."""
