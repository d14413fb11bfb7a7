"""Text in, text out: encode, submit to an engine, decode, cancel. Knows nothing of HTTP."""
