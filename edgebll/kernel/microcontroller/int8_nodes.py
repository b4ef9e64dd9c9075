"""QuantizeLinear and DequantizeLinear: floats to int8 and back, with zero at 0.

Products take int8 as they are (product_nodes.py). Whatever else reads such a tensor gets floats.
"""

from __future__ import annotations

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import Expression, load
from edgebll.kernel.microcontroller.scaled_views import ScaledView, inverse, scale_view
from edgebll.kernel.microcontroller.translation import Translation, translates
from edgebll.kernel.microcontroller.views import StridedView


@translates("QuantizeLinear")
def _quantize(t: Translation, node: Node) -> None:
    x = t.view(node.inputs[0])
    scaled = Expression("mul", (load(x), inverse(_scale(t, node, x))))
    t.values[node.outputs[0]] = t.computed(node.outputs[0], x.shape, Expression("int8", (scaled,)), dtype="int8")


@translates("DequantizeLinear")
def _dequantize(t: Translation, node: Node) -> None:
    x = t.view(node.inputs[0])
    if x.buffer.dtype != "int8":
        raise BundleError(f"it takes {x.buffer.dtype}, and only int8 is known")
    t.scaled[node.outputs[0]] = ScaledView(x, _scale(t, node, x))


def _scale(t: Translation, node: Node, x: StridedView) -> StridedView:
    """The scale of every element, after a look at the zero point, which has its dtype and must be 0."""
    if len(node.inputs) < 3 or not node.inputs[2] or t.view(node.inputs[2]).buffer.dtype != "int8":
        raise BundleError("its zero point is not int8")
    if any(t.integers(node.inputs[2])):
        raise BundleError("its zero point is not 0; quantise symmetrically")
    return scale_view(t.view(node.inputs[1]), x.shape, node.attributes.get("axis", 1) % max(1, len(x.shape)))
