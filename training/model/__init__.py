"""The network: encoder, decoder, and the two put together."""
