"""Threads as services of the Virtual Observatory: IVOA UWS 1.1, a synchronous form, VOSI and DataLink."""
