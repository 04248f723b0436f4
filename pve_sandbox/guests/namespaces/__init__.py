"""Namespaces, and the programs that run in them."""
