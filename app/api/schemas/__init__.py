"""What goes in and what comes out of each route, with an example that works."""
