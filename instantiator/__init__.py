"""Freezing, instantiating, running: from a recipe to an image, a job, a run."""

__version__ = "0.1.0"
