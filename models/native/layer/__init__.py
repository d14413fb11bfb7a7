"""The compiled layer and softmax that networks are trained with; its kernels for each processor."""
