"""Plans as bytes: `encode` writes what boards read, `decode` reads it back, as docs/reference/microcontroller-plan.md says."""

from __future__ import annotations

import struct
import zlib

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    PlanKernel,
    ReduceKernel,
)
from edgebll.kernel.microcontroller.plan_parts import (
    MAX_INSTRUCTIONS,
    MAX_OPERANDS,
    MAX_RANK,
    Code,
    Instruction,
    Operand,
    PlanDtype,
    Port,
    PortRole,
    StepGraph,
)
from edgebll.kernel.microcontroller.plan_words import WordReader, WordWriter, one_of
from edgebll.kernel.spec.plan_versions import INT8_VERSION, VERSION

MAGIC = b"EBPL"
_HEADER = struct.Struct("<4sBBBBIIIII")
_PORT = struct.Struct("<BBHII")
_CRC = struct.Struct("<I")
#: Loops of each kernel: fewest and most.
RANKS = {1: (1, MAX_RANK), 2: (1, MAX_RANK), 3: (1, MAX_RANK - 1), 4: (5, 5), 5: (2, 2)}


def encode(plan: GraphPlan) -> bytes:
    """The bytes of a plan, in the narrowest words that hold its numbers.

    Args:
        plan: what `plan_check.check_plan` finds no fault with.

    Raises:
        BundleError: a number is too large for the format.
    """
    words = WordWriter()
    for kernel in plan.kernels:
        words.extend(_kernel_words(kernel))
    width = words.width()
    ports = b"".join(_PORT.pack(p.role, p.dtype, p.index, p.offset, p.count) for p in plan.ports)
    kernels = words.to_bytes(width)
    body = ports + plan.constants + kernels + b"\0" * (-len(kernels) % 4)
    size = _HEADER.size + len(body) + _CRC.size
    counts = (size, plan.state_bytes, plan.arena_bytes, len(plan.constants), len(plan.kernels))
    version = INT8_VERSION if plan.uses_int8 else VERSION
    data = _HEADER.pack(MAGIC, version, width, plan.graph, len(plan.ports), *counts) + body
    return data + _CRC.pack(zlib.crc32(data))


def version_of(encoded: bytes) -> int:
    """Version of the format of a plan.

    Args:
        encoded: its bytes.
    """
    return encoded[len(MAGIC)]


def _kernel_words(kernel: PlanKernel) -> WordWriter:
    flags, extra = _special_words(kernel)
    words = WordWriter()
    length = 3 + len(kernel.extents) + sum(2 + len(o.strides) for o in kernel.operands) + 2 * len(kernel.program) + len(extra)
    if len(kernel.operands) > MAX_OPERANDS or len(kernel.program) > MAX_INSTRUCTIONS or len(kernel.extents) > MAX_RANK:
        raise BundleError(f"a kernel has at most {MAX_RANK} loops, {MAX_OPERANDS} operands and {MAX_INSTRUCTIONS} instructions")
    words.unsigned(kernel.OPCODE | flags << 8, length)
    words.unsigned(len(kernel.extents) | len(kernel.operands) << 3 | len(kernel.program) << 8, *kernel.extents)
    for operand in kernel.operands:
        words.operand(operand)
    for i in kernel.program:
        words.unsigned(i.code | i.d << 8, i.a | i.b << 5 | i.c << 10)
    words.extend(extra)
    return words


def _special_words(kernel: PlanKernel) -> tuple[int, WordWriter]:
    """The flags of a kernel and the words that follow its program."""
    words = WordWriter()
    if isinstance(kernel, ReduceKernel):
        words.unsigned(kernel.kept, len(kernel.prologue))
        return kernel.maximum | kernel.lane_kept << 1, words
    if isinstance(kernel, GemmKernel):
        words.unsigned(kernel.k)
        words.operand(kernel.a)
        words.operand(kernel.b)
        return 0, words
    if isinstance(kernel, ConvKernel):
        words.unsigned(*kernel.inputs, *kernel.taps, *kernel.stride, *kernel.dilation, *kernel.input_dilation)
        words.signed(*kernel.padding)
        words.operand(kernel.x)
        words.operand(kernel.kernel)
        return int(kernel.columns), words
    if isinstance(kernel, GatherKernel):
        words.unsigned(kernel.rows)
        return int(kernel.scatter), words
    return 0, words


def decode(data: bytes) -> GraphPlan:
    """Read a plan; ranges and overlaps are `plan_check.check_plan`'s to look at.

    Args:
        data: what `encode` wrote.

    Raises:
        BundleError: it is no whole plan of this version.
    """
    if len(data) < _HEADER.size + _CRC.size or data[:4] != MAGIC:
        raise BundleError("the bytes are no plan of a block: its first four are EBPL")
    _, version, width, graph, ports, size, state, arena, constants, count = _HEADER.unpack_from(data)
    if version not in (VERSION, INT8_VERSION) or width not in (2, 4):
        raise BundleError(
            f"the plan has version {version} and words of {width} bytes; "
            f"this edgebll reads versions {VERSION} and {INT8_VERSION}"
        )
    if size != len(data) or _CRC.unpack_from(data, size - 4)[0] != zlib.crc32(data[:-4]):
        raise BundleError("the plan is damaged: its length or checksum is wrong; write it anew")
    at = _HEADER.size + ports * _PORT.size
    if at + constants > size - 4 or constants % 4:
        raise BundleError("the plan's ports and constants do not fit into it; write it anew")
    reader = WordReader(data[at + constants : size - 4], width)
    kernels = tuple(_read_kernel(reader) for _ in range(count))
    return GraphPlan(
        one_of(StepGraph, graph), state, arena, _read_ports(data, ports), data[at : at + constants], _ended(reader, kernels)
    )


def _ended(reader: WordReader, kernels: tuple[PlanKernel, ...]) -> tuple[PlanKernel, ...]:
    if not reader.only_padding_left():
        raise BundleError("the plan has words behind its last kernel; write it anew")
    return kernels


def _read_ports(data: bytes, count: int) -> tuple[Port, ...]:
    rows = [_PORT.unpack_from(data, _HEADER.size + i * _PORT.size) for i in range(count)]
    return tuple(
        Port(one_of(PortRole, role), index, one_of(PlanDtype, dtype), at, number) for role, dtype, index, at, number in rows
    )


def _read_kernel(words: WordReader) -> PlanKernel:
    start = words.at
    code, length, counts = words.many(3)
    opcode, flags, rank = code & 255, code >> 8, counts & 7
    low, high = RANKS.get(opcode, (0, -1))
    if not low <= rank <= high:
        raise BundleError(f"a plan has kernel {opcode} of {rank} loops, which no version knows; write the plan anew")
    extents = words.many(rank)
    operands = tuple(words.operand(rank) for _ in range(counts >> 3 & 31))
    program = tuple(_read_instruction(words) for _ in range(counts >> 8))
    kernel = _read_special(words, opcode, flags, extents, operands, program)
    if words.at - start != length:
        raise BundleError(
            f"kernel {opcode} of a plan says it has {length} words and has {words.at - start}; write the plan anew"
        )
    return kernel


def _read_instruction(words: WordReader) -> Instruction:
    first, second = words.pair()
    return Instruction(one_of(Code, first & 255), first >> 8, second & 31, second >> 5 & 31, second >> 10)


def _read_special(
    words: WordReader,
    opcode: int,
    flags: int,
    extents: tuple[int, ...],
    operands: tuple[Operand, ...],
    program: tuple[Instruction, ...],
) -> PlanKernel:
    if flags >= {1: 1, 2: 4, 3: 1, 4: 2, 5: 2}[opcode]:
        raise BundleError(f"kernel {opcode} of a plan has flags {flags}, which no version knows; write the plan anew")
    if opcode == ElementKernel.OPCODE:
        return ElementKernel(extents, operands, program)
    if opcode == ReduceKernel.OPCODE:
        kept, prologue = words.pair()
        return ReduceKernel(extents, operands, program[:prologue], program[prologue:], kept, bool(flags & 1), bool(flags & 2))
    if opcode == GemmKernel.OPCODE:
        rank = len(extents) + 1
        return GemmKernel(extents, words.unsigned(), words.operand(rank), words.operand(rank), operands, program)
    if opcode == ConvKernel.OPCODE:
        inputs = (words.unsigned(), words.unsigned(), words.unsigned())
        taps, stride, dilation, input_dilation = words.pair(), words.pair(), words.pair(), words.pair()
        padding = (words.signed(), words.signed())
        x, kernel = words.operand(5), words.operand(5)
        return ConvKernel(
            extents, inputs, taps, stride, dilation, input_dilation, padding, x, kernel, operands, program, bool(flags)
        )
    if len(operands) != 3 or program:
        raise BundleError("GATHER has three operands and no program; write the plan anew")
    return GatherKernel(extents, words.unsigned(), *operands, bool(flags))
