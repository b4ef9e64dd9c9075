"""Activations in int8 while a block trains: what is rounded, and how. See `edgebll.learning.precision`."""
