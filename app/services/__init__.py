"""What only a server has: the registry of models, admission, limits, sessions by id, signed states."""
