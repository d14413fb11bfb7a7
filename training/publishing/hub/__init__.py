"""Checkpoints as repositories of the Hugging Face hub.

`huggingface_hub` does the talking, with its cache, and honours HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
"""
