"""Before a run: dry run, memory and speed of a step, the learning-rate finder."""
