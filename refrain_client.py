"""The name that `refrain.client` had; whoever still asks for it is sent there."""

raise ImportError("`refrain_client` is `refrain.client` now; write `from refrain import Client`")
