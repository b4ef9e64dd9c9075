"""Operators composed of others, one file a family; importing this package fills the table."""

from edgebll_export.composites import distance, fake_quantization, linear_algebra, matrix_exponential, observers, weight_norm
from edgebll_export.composites.registry import COMPOSITES, Composite, composite

__all__ = [
    "COMPOSITES",
    "Composite",
    "composite",
    "distance",
    "fake_quantization",
    "linear_algebra",
    "matrix_exponential",
    "observers",
    "weight_norm",
]
