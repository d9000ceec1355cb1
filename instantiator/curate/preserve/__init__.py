"""Carry one recipe with all its bytes away, and take it in where there is nothing: an OCFL object or a BagIt bag."""
