"""One file a source: from the files as they are given away to a clean corpus."""
