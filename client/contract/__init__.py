"""What the HTTP contract says: routes, the parameters that they take, and their answers."""
