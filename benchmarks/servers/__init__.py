"""What the service is compared with: the same weights, served as tutorials and general servers do it."""
