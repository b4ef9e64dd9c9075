"""Texts from a network that foretells bytes: chosen one after another, whatever computes the network."""
