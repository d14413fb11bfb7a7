"""Routes by theme, schemas, streaming, errors: translate, delegate, translate back."""
