"""Convolutions of every form that networks have, as plans of one kernel, and how many products each sums."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, GraphPlan
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, Region, StepGraph
from support.emulated_boards import M4F, EmulatedCore, run_emulated


@dataclass(frozen=True)
class ConvolutionForm:
    """A convolution of one sample.

    Args:
        channels: groups, outputs and inputs of each.
        inputs: height and width.
        taps: of the kernel.
        outputs: height and width.
        padding: of both axes.
        stride: of both axes. Default: 1.
        input_dilation: of both axes; above 1 it is the gradient of a strided one. Default: 1.
        bias: add one. Default: False, sums are stored as they are, as before a batch norm.
    """

    channels: tuple[int, int, int]
    inputs: tuple[int, int]
    taps: tuple[int, int]
    outputs: tuple[int, int]
    padding: int
    stride: int = 1
    input_dilation: int = 1
    bias: bool = False

    def products(self) -> int:
        """Products summed: taps outside the input, or between its elements, are none."""
        found = 1
        for inputs, taps, outputs in zip(self.inputs, self.taps, self.outputs, strict=True):
            at = [o * self.stride + t - self.padding for o, t in itertools.product(range(outputs), range(taps))]
            found *= sum(p % self.input_dilation == 0 and 0 <= p // self.input_dilation < inputs for p in at)
        return found * int(np.prod(self.channels))

    def plan(self) -> GraphPlan:
        """Its plan: input, kernel and bias in the state, outputs in the arena."""
        (groups, out, into), sizes = self.channels, (*self.inputs, *self.outputs, *self.taps)
        height, width, rows, columns, high, wide = sizes
        x = Operand(Region.STATE, 0, (0, into * height * width, height * width, width, 1))
        weights = groups * into * height * width
        kernel = Operand(Region.STATE, weights, (out * into * high * wide, into * high * wide, high * wide, wide, 1))
        bias = Operand(Region.STATE, weights + groups * out * into * high * wide, (0, out, 1, 0, 0))
        result = Operand(Region.ARENA, 0, (0, out * rows * columns, rows * columns, columns, 1))
        geometry = ((self.stride,) * 2, (1, 1), (self.input_dilation,) * 2, (self.padding,) * 2)
        program = (Instruction(Code.ADD, 9, 0, 8) if self.bias else Instruction(Code.MOVE, 9, 0),)
        made = ConvKernel(
            (1, groups, out, rows, columns), (into, height, width), (high, wide), *geometry, x, kernel, (bias, result), program
        )
        state = 4 * (bias.offset + groups * out)
        return GraphPlan(StepGraph.STEP, state, 4 * groups * out * rows * columns, (), b"", (made,))


#: Of the networks that the figures are taken of: LeNet-5, ResNet-8 and DS-CNN of 16 channels.
FORMS = {
    "3 x 3, 16 to 16 channels": ConvolutionForm((1, 16, 16), (8, 8), (3, 3), (8, 8), 1),
    "3 x 3, 4 to 4 channels": ConvolutionForm((1, 4, 4), (16, 16), (3, 3), (16, 16), 1),
    "3 x 3, strided": ConvolutionForm((1, 8, 4), (16, 16), (3, 3), (8, 8), 1, stride=2),
    "3 x 3, strided, transposed": ConvolutionForm((1, 4, 8), (8, 8), (3, 3), (16, 16), 1, input_dilation=2),
    "3 x 3, depthwise": ConvolutionForm((16, 1, 1), (25, 5), (3, 3), (25, 5), 1),
    "5 x 5, one channel to 6": ConvolutionForm((1, 6, 1), (28, 28), (5, 5), (28, 28), 2, bias=True),
    "gradient of a 3 x 3 weight": ConvolutionForm((1, 16, 16), (8, 8), (8, 8), (3, 3), 1),
}


def instructions_per_product(form: ConvolutionForm, core: EmulatedCore = M4F, flags: tuple[str, ...] = ()) -> float:
    """Instructions for each product summed, all that the kernel takes included.

    Args:
        form: of the convolution.
        core: where. Default: a Cortex-M4F.
        flags: further ones for the compiler. Default: none.
    """
    plan = form.plan()
    state = np.random.default_rng(0).standard_normal(plan.state_bytes // 4).astype("<f4").tobytes()
    said = run_emulated(core, encode(plan), state, bytes(plan.arena_bytes), flags=flags)
    return said["instructions"] / form.products()
