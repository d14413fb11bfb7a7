"""HTTP alone: routes, their schemas, and what they stand on."""
