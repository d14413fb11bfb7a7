"""Offline training: corpus -> tokenizer -> batches -> loop -> checkpoint -> evaluate. Never imported by `app`."""

if __name__ == "training":
    raise ImportError(
        "`training` is imported as `refrain.training`; docs/versions.md has the old names and the new"
    )
