"""What the routes answer. Fields have the names of the HTTP contract; log-probabilities are natural logarithms."""
