"""What operators look at: metrics and traces."""
