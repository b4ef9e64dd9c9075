"""Layers whose inputs are spikes, as plans of one kernel, and the instructions that they take."""

from __future__ import annotations

import numpy as np

from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import GemmKernel, GraphPlan
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, Region, StepGraph
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS, SPARSE_FLAGS
from support.convolution_forms import FORMS
from support.emulated_boards import M4F, run_emulated
from support.same_bits import random_memory

ALWAYS = PROFILE_FLAGS["exact"]
SPARSE = (*ALWAYS, *SPARSE_FLAGS)


def dense(rows: int, inputs: int, outputs: int, *, across: bool, plain: bool) -> GraphPlan:
    """A matrix product: inputs, weights and bias in the state, outputs in the arena.

    Args:
        rows: of the inputs.
        inputs: terms of a sum.
        outputs: of a row.
        across: whether the weights of an output lie in line, as torch has them, else those of an input.
        plain: whether sums are stored as they are, else a bias is added and negative ones cut.
    """
    x = Operand(Region.STATE, 0, (inputs, 0, 1))
    w = Operand(Region.STATE, rows * inputs, (0, inputs, 1) if across else (0, 1, outputs))
    bias = Operand(Region.STATE, (rows + outputs) * inputs, (0, 1))
    result = Operand(Region.ARENA, 0, (outputs, 1))
    program = (Instruction(Code.MOVE, 9, 0),) if plain else (Instruction(Code.ADD, 0, 0, 8), Instruction(Code.RELU, 9, 0))
    kernel = GemmKernel((rows, outputs), inputs, x, w, (bias, result), program)
    return GraphPlan(StepGraph.FORWARD, 4 * ((rows + outputs) * inputs + outputs), 4 * rows * outputs, (), b"", (kernel,))


#: Name -> plan, and how many inputs it has, with which its state begins.
LAYERS = {
    "dense, 256 to 256": (dense(1, 256, 256, across=True, plain=False), 256),
    "3 x 3, 16 to 16 channels of 8 x 8": (FORMS["3 x 3, 16 to 16 channels"].plan(), 16 * 8 * 8),
}


def instructions(plan: GraphPlan, inputs: int, rate: float, flags: tuple[str, ...]) -> int:
    """Of one run on a Cortex-M4F."""
    state = random_memory(plan, 0)[0]
    values = np.frombuffer(state, np.float32)
    values[:inputs] = np.random.default_rng(1).permutation(inputs) < rate * inputs
    return run_emulated(M4F, encode(plan), bytes(state), bytes(plan.arena_bytes), flags=flags)["instructions"]


def weight_update(rows: int, inputs: int, terms: int, program: tuple[Instruction, ...]) -> GraphPlan:
    """The update of a dense layer's weights: inputs (terms, inputs), gradients (terms, rows), weights, moments, in the state.

    Args:
        rows: of the weights.
        inputs: numbers of a row.
        terms: of a sum: samples times time steps.
        program: with the weights in slot 8, the moments in slot 9, and in 10 to 12 learning rate, decay and momentum.
    """
    gradients, weights = terms * inputs, terms * (inputs + rows)
    a = Operand(Region.STATE, gradients, (1, 0, rows))
    b = Operand(Region.STATE, 0, (0, 1, inputs))
    kept = tuple(Operand(Region.STATE, weights + number * rows * inputs, (inputs, 1)) for number in range(2))
    scales = tuple(Operand(Region.CONSTANTS, number, (0, 0)) for number in range(3))
    kernel = GemmKernel((rows, inputs), terms, a, b, (*kept, *scales), program)
    state = 4 * (weights + 2 * rows * inputs)
    return GraphPlan(StepGraph.STEP, state, 4, (), np.array([0.05, 5e-4, 0.9], "<f4").tobytes(), (kernel,))


#: By gradient descent alone, and with weight decay and momentum.
DESCENT = (Instruction(Code.MULSUB, 8, 10, 0, 8),)
MOMENTUM = (Instruction(Code.MULADD, 0, 11, 8, 0), Instruction(Code.MULADD, 9, 12, 9, 0), Instruction(Code.MULSUB, 8, 10, 9, 8))
