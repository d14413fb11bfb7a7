"""The HTTP contract as the client knows it: routes, parameters, answers."""
