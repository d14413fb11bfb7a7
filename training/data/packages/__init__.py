"""Free texts inside packages of registries: read without installing, one file a source."""
