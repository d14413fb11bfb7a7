"""The routes, one file each; a new route for a new task goes here."""
