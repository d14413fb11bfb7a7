"""The compiled step of the engine: int8 kernels for each processor, sampling, and what Python shares with it."""
