"""What a run reports: run log, progress, samples, TensorBoard, MLflow."""
