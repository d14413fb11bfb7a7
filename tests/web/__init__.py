"""The page in a browser; a package, so that its browser is closed before other tests run."""
