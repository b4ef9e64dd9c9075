"""Adapters: small trained corrections of layers whose own weights are frozen."""
