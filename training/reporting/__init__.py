"""What a run tells while it goes on: log, progress, other trackers."""
