"""Offline training: corpus -> tokenizer -> batches -> loop -> checkpoint -> evaluate. Never imported by `app`."""
