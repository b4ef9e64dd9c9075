"""A complex tensor of a graph under construction: ONNX operators take real ones, so it is two."""

from __future__ import annotations

from dataclasses import dataclass

from edgebll_export.graph.value import Value


@dataclass(frozen=True)
class Complex:
    """Real and imaginary part, alike in shape and dtype."""

    real: Value
    imag: Value

    @property
    def shape(self) -> tuple[int, ...]:
        """Logical shape."""
        return self.real.shape

    @property
    def dtype(self) -> str:
        """Dtype of the parts."""
        return self.real.dtype


#: Dtypes of complex tensors -> dtype of their parts.
PARTS = {"complex64": "float32", "complex128": "float64", "complex32": "float16"}
