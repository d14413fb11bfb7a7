"""Before a run: what it will take, and the learning rate to take."""
