"""Run operations on an engine: blocking in process, threaded for event loops, micro-batches for classifiers."""
