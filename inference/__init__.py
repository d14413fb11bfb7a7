"""One engine, in process: operations over texts, and the drivers that run them. No HTTP, no settings."""
