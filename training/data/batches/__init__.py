"""Token ids to rectangles of inputs and targets."""
