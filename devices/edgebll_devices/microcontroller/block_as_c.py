"""A block of a bundle as C: its plans and initial state as constants, with the sizes that firmware of one's own needs."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.microcontroller import BlockPlan, plan_block, plan_int8_forward
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.time_chunks import RESET, step_input, step_output
from edgebll.kernel.support.atomic_files import write_atomic
from edgebll.kernel.version import __version__

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
#: Words of C99 and C++ that a name could be.
_KEYWORDS = """
auto asm bool break case catch char class const continue default delete do double else enum explicit export extern
false float for friend goto if inline int long main mutable namespace new operator private protected public
register restrict return short signed sizeof static struct switch template this throw true try typedef typename
union unsigned using virtual void volatile while
"""
_WORD, _WORDS_A_LINE = 4, 10


@dataclass(frozen=True)
class CBlock:
    """A block written in C.

    Attributes:
        name: of its constant, and of both files.
        plan: of the block.
        header: content of NAME.h.
        source: content of NAME.c.
    """

    name: str
    plan: BlockPlan
    header: str
    source: str

    @property
    def constant_bytes(self) -> int:
        """Bytes of flash."""
        return self.plan.plan_bytes + self.plan.state_bytes

    def write(self, folder: Path) -> list[Path]:
        """Write both files, each whole or not at all.

        Args:
            folder: where; made where it is missing.

        Raises:
            StorageError: they cannot be written.
        """
        paths = [folder / f"{self.name}.c", folder / f"{self.name}.h"]
        for path, text in zip(paths, (self.source, self.header), strict=True):
            write_atomic(path, text.encode("ascii"))
        return paths


def block_as_c(bundle: Bundle, block: str, name: str | None = None, *, int8: bool = False) -> CBlock:
    """Write a block in C.

    Args:
        bundle: exported for the target "microcontroller".
        block: name of one of its blocks.
        name: of the constant in C; by default the block's.
        int8: write its quantised forward pass, which predicts alone. Default: False, all that trains it.

    Raises:
        ConfigError: the name is none for C. BundleError: there is no such block, it cannot run on a microcontroller, or it
            takes more than the C library gives.
    """
    spec = bundle.manifest.block(block)
    name = block if name is None else name
    _check_name(name)
    _check_inputs(spec, bundle, [] if int8 else _scalars_beyond(spec))
    plan = plan_int8_forward(bundle, block) if int8 else plan_block(bundle, block)
    source = _source(spec, plan, name, _initial(bundle, plan))
    return CBlock(name, plan, "\n".join(_header(bundle, spec, plan, name)) + "\n", source)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in _KEYWORDS.split() or name.startswith("edgebll"):
        raise ConfigError(
            f"{name!r} cannot name a block in C; give one with --name, of lower-case letters, digits and _, that is no word of "
            "C and does not begin with edgebll"
        )


def _scalars_beyond(spec: BlockSpec) -> list[str]:
    """Scalars of a step that the library does not give: it has lr, and behind it where samples begin."""
    known = ("lr", RESET) if spec.chunks > 1 else ("lr",)
    beyond = [name for name in spec.scalars if name not in known]
    return beyond or ([] if spec.scalars == known[: len(spec.scalars)] else [*spec.scalars])


def _check_inputs(spec: BlockSpec, bundle: Bundle, scalars: Sequence[str]) -> None:
    more = [*(tensor.name for tensor in spec.received), *scalars]
    if more:
        raise BundleError(
            f"{bundle.path}/{spec.name} takes {', '.join(more)} besides x, y and lr, which the C library does not give; export "
            "a network of one input with a rule without side streams, or host the block with `edgebll firmware build`"
        )


def _initial(bundle: Bundle, plan: BlockPlan) -> bytes:
    """The state region as it is at the start."""
    state = bytearray(plan.state_bytes)
    if plan.state.tensors:
        plan.state.write(state, bundle.state(plan.block))
    return bytes(state)


def _header(bundle: Bundle, spec: BlockSpec, plan: BlockPlan, name: str) -> Iterator[str]:
    upper = name.upper()
    yield f"/* {spec.name} of the bundle {bundle.manifest_sha256[:16]}, by edgebll {__version__}. Do not change; embed again."
    yield " *"
    yield from (f" * {line}" for line in _table(spec, "step" in plan.graphs))
    yield " *"
    if "step" in plan.graphs:
        yield " * The state, byte by byte: at, dtype, shape, name."
        yield " *"
    else:
        yield " * It predicts in int8, with weights that stay, and has no state."
    yield from (f" * {place.offset:8}  {_described(place.tensor)}  {place.tensor.name}" for place in plan.state.tensors)
    yield " */"
    yield f"#ifndef {upper}_H"
    yield f"#define {upper}_H"
    yield ""
    yield '#include "edgebll.h"'
    yield ""
    yield from (f"#define {upper}_{word} {number}u" for word, number in _numbers(spec, plan).items())
    yield f"#define {upper}_ID 0x{_identity(plan):08x}u /* of its plans: a state that was kept fits those with the same */"
    yield ""
    yield "#ifdef __cplusplus"
    yield f'extern "C" const struct edgebll_exported {name};'
    yield "#else"
    yield f"extern const struct edgebll_exported {name};"
    yield "#endif"
    yield ""
    yield "#endif"


def _identity(plan: BlockPlan) -> int:
    """CRC-32 of all plans."""
    return zlib.crc32(b"".join(plan.encoded[graph] for graph in sorted(plan.encoded)))


def _table(spec: BlockSpec, trains: bool) -> Iterator[str]:
    """What goes in and comes out."""
    yield f"x        {_described(spec.input)}"
    if spec.chunks > 1 and trains:
        cut = f"x {_described(step_input(spec))}, a {_described(step_output(spec))}"
        yield f"chunks   {spec.chunks} training steps a sample, each {cut}"
    if spec.takes_labels and trains:
        yield f"y        {_described(spec.labels)}"
    yield f"a        {_described(spec.output)}, {'scores' if spec.output_role == 'logits' else 'x of the next block'}"
    if spec.metrics and trains:
        yield f"metrics  {', '.join(spec.metrics)}"
    if spec.beta is not None and trains:
        yield f"beta     {_described(spec.beta)}"


def _in_chunks(spec: BlockSpec, plan: BlockPlan) -> bool:
    return spec.chunks > 1 and "step" in plan.graphs


def _described(tensor: TensorSpec) -> str:
    return f"{tensor.dtype}[{', '.join(map(str, tensor.shape))}]"


def _numbers(spec: BlockSpec, plan: BlockPlan) -> Mapping[str, int]:
    """The sizes, by the last part of their macros. No size is 0, for C has no arrays of that."""
    labels = math.prod(spec.labels.shape) if spec.takes_labels else 1
    parts = {"TRAIN_X_COUNT": step_input(spec), "TRAIN_A_COUNT": step_output(spec)}
    cut = {word: math.prod(tensor.shape) for word, tensor in parts.items()}
    return {
        "BATCH": spec.input.shape[0],
        "X_COUNT": math.prod(spec.input.shape),
        "Y_COUNT": labels,
        "A_COUNT": math.prod(spec.output.shape),
        "STATE_BYTES": max(8, plan.state_bytes),
        "ARENA_BYTES": max(8, -(-plan.arena_bytes // 8) * 8),
        **({"CHUNKS": spec.chunks, **cut} if _in_chunks(spec, plan) else {}),
    }


def _source(spec: BlockSpec, plan: BlockPlan, name: str, state: bytes) -> str:
    parts = {**plan.encoded, "state": state}
    arrays = [f"static const uint32_t {name}_{part}[] = {{\n{_words(content)}\n}};\n" for part, content in parts.items()]
    fields = [f"    .{part} = {name}_{part},\n    .{part}_bytes = {len(content)}u,\n" for part, content in parts.items()]
    fields += [f"    .chunks = {spec.chunks}u,\n"] if _in_chunks(spec, plan) else []
    head = f'/* Belongs to {name}.h. Words of little-endian processors, as all are that plans run on. */\n#include "{name}.h"\n'
    return "\n".join([head, *arrays, f"const struct edgebll_exported {name} = {{\n{''.join(fields)}}};\n"])


def _words(content: bytes) -> str:
    """Bytes as 32-bit words, which keeps them aligned."""
    whole = content + bytes(-len(content) % _WORD) or bytes(_WORD)
    words = [f"0x{word:08x}u" for word in np.frombuffer(whole, "<u4").tolist()]
    lines = (words[at : at + _WORDS_A_LINE] for at in range(0, len(words), _WORDS_A_LINE))
    return ",\n".join("    " + ", ".join(line) for line in lines)
