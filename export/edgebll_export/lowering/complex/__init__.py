"""Complex numbers as two real tensors, and Fourier transforms as products with matrices of cosines and sines."""

from edgebll_export.lowering.complex import arithmetic, construction, fourier, structure

__all__ = ["arithmetic", "construction", "fourier", "structure"]
