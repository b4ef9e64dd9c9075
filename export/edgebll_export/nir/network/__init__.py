"""NIR graphs as networks that learn here, by the name `edgebll_export.nir.network:network`."""

from edgebll_export.nir.network.from_graph import network

__all__ = ["network"]
