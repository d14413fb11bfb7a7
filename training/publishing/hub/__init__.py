"""Checkpoints as repositories of the Hugging Face hub: `refrain models pull` and `refrain models push`.

`huggingface_hub` does the talking, with its cache, and honours HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE.
"""
