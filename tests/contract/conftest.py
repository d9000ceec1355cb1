"""The engine fixtures, where the contract suite can see them."""

from tests.engine_fixtures import engine, tiny_image

__all__ = ["engine", "tiny_image"]
