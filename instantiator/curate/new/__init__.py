"""Propose a recipe from what is found in a Debian package, a wheel or an archive, and rate how it may rot."""
