"""The recurrent networks: cells, layers, language model and classifier."""
