"""A block in firmware of one's own: the C library with an embedded block, compiled for this machine with sanitisers."""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import DataError
from edgebll.kernel.execution.block_runtime import BlockRuntime, Tensor, Trained
from edgebll.kernel.microcontroller import plan_block, plan_int8_forward
from edgebll.kernel.microcontroller.tensor_places import TensorPlace
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.spec.time_chunks import RESET, step_output
from edgebll.kernel.state.block_state import Array, State
from edgebll_devices.microcontroller.block_as_c import block_as_c
from support.c_runtime import FLAGS, ROOT, RUNTIME, compiler

LIBRARY = ROOT / "devices" / "firmware" / "library"
#: Any byte read or written outside, and all that C does not define, ends the program with a code of its own.
SANITISED = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SANITISERS = {**os.environ, "ASAN_OPTIONS": "exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
#: These tests compile each file once and run little.
QUICK = tuple("-O1" if flag == "-O2" else flag for flag in FLAGS)


@cache
def library_objects() -> tuple[str, ...]:
    """The library and the runtime, compiled once, with sanitisers and without a warning."""
    folder = Path(mkdtemp(prefix="edgebll-library-"))
    atexit.register(shutil.rmtree, folder)
    sources = [path for room in (RUNTIME, LIBRARY) for path in sorted(room.glob("*.c"))]
    run([compiler(), *QUICK, *SANITISED, f"-I{RUNTIME}", "-c", *map(str, sources)], folder)
    return tuple(str(folder / f"{path.stem}.o") for path in sources)


def build_program(program: Path, sources: Sequence[Path], *flags: str) -> Path:
    """Compile a program with the library.

    Args:
        program: to be written.
        sources: of its own, which find headers beside the program.
        flags: further ones for the compiler.
    """
    folders = [f"-I{folder}" for folder in (RUNTIME, LIBRARY, program.parent)]
    run([compiler(), *QUICK, *SANITISED, *folders, *flags, *library_objects(), *map(str, sources), "-o", str(program)], ROOT)
    return program


def run(command: list[str], folder: Path) -> str:
    """Run a command that must succeed; what it prints."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=SANITISERS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def _program(bundle: Path, block: str, int8: bool) -> Path:
    folder, written = Path(mkdtemp(prefix="edgebll-library-")), block_as_c(open_bundle(bundle), block, int8=int8)
    atexit.register(shutil.rmtree, folder)
    written.write(folder)
    sources = (Path(__file__).with_suffix(".c"), folder / f"{block}.c")
    return build_program(folder / "block", sources, f"-DBLOCK={block}", f'-DHEADER="{block}.h"')


class LibraryBlock(BlockRuntime):
    """A block that a process trains with the C library.

    Args:
        bundle: exported for microcontrollers.
        block: name of one of its blocks.
        memory: bytes of state and arena that the process gives; by default what the header says.
        spoilt: what is wrong with the block: "swapped", "foreign" or "damaged" plans, or another number of chunks,
            "chunks3". Default: nothing.
        int8: embed the quantised forward pass alone. Default: False.

    Attributes:
        error: what edgebll_load returned.
    """

    def __init__(
        self, bundle: Bundle, block: str, memory: tuple[int, int] | None = None, spoilt: str = "", *, int8: bool = False
    ) -> None:
        self.spec, self._plan = bundle.manifest.block(block), (plan_int8_forward if int8 else plan_block)(bundle, block)
        sizes = memory or (self._plan.state_bytes, self._plan.arena_bytes)
        command = [str(_program(bundle.path, block, int8)), *map(str, sizes), spoilt]
        leaks = {**SANITISERS, "ASAN_OPTIONS": "exitcode=99:detect_leaks=0"}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=leaks)
        self.error = self._number()

    def _read(self, count: int) -> bytes:
        assert self._process.stdout is not None
        content = self._process.stdout.read(count)
        assert len(content) == count, f"the program ended with {self._process.wait()}"
        return content

    def _number(self) -> int:
        return int(struct.unpack("<i", self._read(4))[0])

    def ask(self, letter: bytes, *parts: bytes) -> int:
        """Make a call; its error."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"".join([letter, *parts]))
        self._process.stdin.flush()
        return self._number()

    def _asked(self, letter: bytes, *parts: bytes) -> None:
        if (error := self.ask(letter, *parts)) != 0:
            raise DataError(f"error {error}")

    def _tensor(self, tensor: TensorSpec) -> Tensor:
        return np.frombuffer(self._read(tensor.size_bytes), tensor.dtype).reshape(tensor.shape)

    def train(
        self, x: Tensor, y: Tensor, scalars: Mapping[str, float], received: Mapping[str, Tensor] | None = None
    ) -> Trained:
        given = (x.tobytes(), y.tobytes(), struct.pack("<f", scalars["lr"]))
        if self.spec.chunks > 1:
            self._asked(b"c", *given, struct.pack("<i", int(scalars[RESET])))
        else:
            self._asked(b"t", *given)
        a = self._tensor(step_output(self.spec))
        numbers = self._tensor(TensorSpec("metrics", "float32", (len(self.spec.metrics),))).tolist()
        return a, dict(zip(self.spec.metrics, numbers, strict=True)), {}

    def evaluate(self, x: Tensor, inputs: Mapping[str, Tensor] | None = None) -> Tensor:
        self._asked(b"p", x.tobytes())
        return self._tensor(self.spec.output)

    def feedback(self, y: Tensor) -> Tensor:
        assert self.spec.beta is not None
        self._asked(b"f", y.tobytes())
        return self._tensor(self.spec.beta)

    def state(self) -> dict[str, Array]:
        self._asked(b"s")
        content = self._read(self._plan.state_bytes)
        return self._plan.state.read(content)

    def load_state(self, state: State) -> None:
        content = bytearray(self._plan.state_bytes)
        self._plan.state.write(content, state)
        self._asked(b"l", struct.pack("<I", len(content)), bytes(content))

    def close(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0


def _part(content: bytes, place: TensorPlace) -> Array:
    tensor = place.tensor
    return np.ndarray(tensor.shape, np.dtype(tensor.dtype), content, place.offset)
