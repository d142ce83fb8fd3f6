"""The HTTP service: BentoML around a Starlette application, over `rcmvae`."""
