"""What a run is to do: the recipe, its parts, and how it is read."""
