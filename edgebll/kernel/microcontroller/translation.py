"""From an ONNX graph to kernels, one node after another: what an operator does is in the files named `*_nodes.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node, OnnxGraph
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import Expression, load
from edgebll.kernel.microcontroller.kernels import PlannedKernel, Source
from edgebll.kernel.microcontroller.scaled_views import ScaledView
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.state.block_state import Array

#: Writes one node's kernels, or says which view its result is.
NodeTranslator = Callable[["Translation", Node], None]
#: ONNX operator -> what translates its nodes.
NODE_TRANSLATORS: dict[str, NodeTranslator] = {}


def translates(*operators: str) -> Callable[[NodeTranslator], NodeTranslator]:
    """Register a function for one or more ONNX operators."""

    def register(function: NodeTranslator) -> NodeTranslator:
        NODE_TRANSLATORS.update(dict.fromkeys(operators, function))
        return function

    return register


@dataclass
class Translation:
    """What is known while a graph is gone through.

    Attributes:
        kernels: written so far, in the graph's order.
        values: name -> the view that holds it.
        scaled: the same of int8 that stand for floats.
    """

    kernels: list[PlannedKernel] = field(default_factory=list)
    values: dict[str, StridedView] = field(default_factory=dict)
    scaled: dict[str, ScaledView] = field(default_factory=dict)

    def view(self, name: str) -> StridedView:
        """The view that holds a value; scaled integers become floats.

        Raises:
            BundleError: nothing made it before.
        """
        if name in self.scaled and name not in self.values:
            found = self.scaled[name]
            self.values[name] = self.computed(name, found.view.shape, found.value())
        if name not in self.values:
            raise BundleError(f"it uses {name!r}, which nothing made before")
        return self.values[name]

    def value(self, name: str, shape: Sequence[int]) -> Expression:
        """An element of a value that is broadcast to a shape, for an element program.

        Raises:
            BundleError: as of `view`.
        """
        found = self.scaled.get(name)
        if found is not None and name not in self.values and found.view.buffer.role is BufferRole.STATE:
            return found.map(lambda view: view.expanded(shape)).value()
        return load(self.view(name).expanded(shape))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a value, which need not be floats for that.

        Raises:
            BundleError: as of `view`.
        """
        return self.scaled[name].view.shape if name in self.scaled else self.view(name).shape

    def floats(self, name: str) -> StridedView:
        """The same, of float32 in memory: what is of another type is converted into a buffer of its own."""
        view = self.view(name)
        if view.buffer.dtype == "float32":
            return view
        return self.computed(f"{name} as floats", view.shape, load(view))

    def integers(self, name: str) -> list[int]:
        """The numbers in a constant, as of axes and shapes.

        Raises:
            BundleError: it is computed, so that shapes would depend on data.
        """
        view = self.view(name)
        if view.buffer.content is None:
            raise BundleError(f"{name!r} must be a constant")
        return [int(value) for value in view.buffer.content.reshape(-1)[view.addresses().reshape(-1)]]

    def emit(self, shape: Sequence[int], store: StridedView, expression: Expression, source: Source | None = None) -> None:
        """Add a kernel; none where its grid is empty."""
        if math.prod(shape):
            kernel = PlannedKernel(tuple(shape), ((store, expression),), source, float(len(self.kernels)))
            self.kernels.append(kernel)

    def computed(
        self, name: str, shape: Sequence[int], expression: Expression, source: Source | None = None, *, dtype: str = "float32"
    ) -> StridedView:
        """A new value that an element program gives, behind a sum where there is a source."""
        result = PlannedBuffer(name, tuple(shape), dtype=dtype).whole()
        self.emit(shape, result, expression, source)
        return result

    def copied(self, name: str, view: StridedView) -> StridedView:
        """A new value with the elements of a view one after another."""
        return self.computed(name, view.shape, load(view))


def constant_view(name: str, content: Array) -> StridedView:
    """A constant; one element is kept where all are the same."""
    flat = content.reshape(-1)
    if flat.size > 1 and np.all(flat.view(np.uint8).reshape(flat.size, -1) == flat[:1].view(np.uint8)):
        buffer = PlannedBuffer(name, (1,), BufferRole.CONSTANT, content.dtype.name, np.array(flat[:1]))
        return StridedView(buffer, 0, content.shape, (0,) * content.ndim)
    return PlannedBuffer(name, content.shape, BufferRole.CONSTANT, content.dtype.name, content).whole()


def translated(
    graph: OnnxGraph, inputs: Mapping[str, PlannedBuffer], scaled: Mapping[str, ScaledView] | None = None
) -> Translation:
    """The kernels of a graph.

    Args:
        graph: with the operators that the target "microcontroller" leaves.
        inputs: name -> buffer of each of its inputs.
        scaled: those of them that are integers which stand for floats. Default: none.

    Raises:
        BundleError: an operator, an attribute or a type of another target.
    """
    integers = dict(scaled or {})
    made = Translation(
        values={name: buffer.whole() for name, buffer in inputs.items() if name not in integers}, scaled=integers
    )
    made.values.update((name, constant_view(name, content)) for name, content in graph.constants.items())
    for node in graph.nodes:
        translator = NODE_TRANSLATORS.get(node.operator)
        if translator is None:
            raise BundleError(f"the {node} cannot run on a microcontroller; export with the target 'microcontroller'")
        try:
            translator(made, node)
        except BundleError as error:
            raise BundleError(f"the {node} cannot run on a microcontroller: {error}") from error
        except (ValueError, IndexError, KeyError, TypeError, ArithmeticError) as error:
            raise BundleError(f"the {node} has operands that do not fit: {error}; export the bundle again") from error
    return made


def output_views(made: Translation, outputs: Sequence[TensorSpec]) -> dict[str, StridedView]:
    """Name -> view of each of a graph's outputs.

    Raises:
        BundleError: nothing made it, or with another shape.
    """
    found = {}
    for tensor in outputs:
        view = made.view(tensor.name)
        if view.shape != tensor.shape:
            raise BundleError(f"the output {tensor.name!r} should be of shape {list(tensor.shape)}, but is {list(view.shape)}")
        found[tensor.name] = view
    return found
