"""The JSON bodies and answers of the routes, each with an example that works."""
