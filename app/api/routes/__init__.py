"""The routes of the service, one file each: request to operation to answer."""
