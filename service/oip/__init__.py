"""The Open Inference Protocol, version 2, over HTTP, with the binary tensor extension.

https://github.com/open-inference/open-inference-protocol and, for binary tensors,
https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""
