"""Whole published models, each under the interface of `fakedetect_jax.models.create`."""
