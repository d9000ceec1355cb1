"""The engine fixtures, where the integration tests can see them."""

from tests.engine_fixtures import engine, tiny_image

__all__ = ["engine", "tiny_image"]
