"""The example that learns without a host: the bits of Python, through resets and through cuts of power at every write."""

from __future__ import annotations

import re
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from support.c_library import SANITISERS, build_program, run
from support.gestures import EXAMPLE, fingerprint, gestures_bundle, sources, trained_in_python

from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.state.block_state import state_sha256

pytestmark = pytest.mark.timeout(180)
CUTTING = Path(__file__).parents[1] / "support" / "power_cuts.c"
PAGE, HEAD = 1024, 64


def kept_state(flash: bytes) -> tuple[int, bytes]:
    """Step and state of the newest record in a flash file, read without the library."""
    size = plan_block(gestures_bundle(), "block0").state_bytes
    slot = -(-(HEAD + size + 8) // PAGE) * PAGE
    heads = [struct.unpack_from("<4sIII", flash, at) for at in (0, slot)]
    assert all(head[0] in (b"EEBS", b"\xff" * 4) for head in heads)
    newest = max((head[1] % 0xFFFFFFFF, at) for head, at in zip(heads, (0, slot), strict=True))[1]
    return struct.unpack_from("<I", flash, newest + HEAD + size + 4)[0], flash[newest + HEAD :][:size]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example for Linux, with sanitisers."""
    folder = tmp_path_factory.mktemp("gestures")
    return build_program(folder / "gestures", sources(folder, "gestures_demo", "machine_linux"), f"-I{EXAMPLE}")


def test_it_learns_goes_on_after_an_end_and_has_the_bits_of_python(program: Path, tmp_path: Path) -> None:
    first = run([str(program), "flash.bin", "330"], tmp_path).splitlines()
    assert first[0] == "from step 0"
    said = run([str(program), "flash.bin", "600"], tmp_path).splitlines()
    assert said[0] == "from step 300", "the 30 samples since the last record are learned from again"
    judge, right = trained_in_python(600)
    assert said[-2] == f"step 600: {right} of 100 right"
    assert right >= 97
    step, state = kept_state((tmp_path / "flash.bin").read_bytes())
    assert step == 600
    tensors = {p.tensor.name: np.ndarray(p.tensor.shape, p.tensor.dtype, state, p.offset) for p in judge.plan.state.tensors}
    assert state_sha256({"block0": tensors}) == state_sha256({"block0": judge.state()})
    assert said[-1] == f"step 600, state {fingerprint(state)}"
    assert run([str(program), "other.bin", "600"], tmp_path).splitlines()[-1] == said[-1]


@pytest.fixture(scope="module")
def cutter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The learner on a flash whose power is cut."""
    folder = tmp_path_factory.mktemp("power_cuts")
    flags = (f"-I{EXAMPLE}", "-DLEARNER_KEEP_EVERY=2u")
    return build_program(folder / "power_cuts", [CUTTING, *sources(folder)], *flags)


@pytest.mark.parametrize("manner", ["0", "1", "2"])
def test_power_cut_at_every_write_leaves_the_old_record_or_the_new_and_the_same_end(
    manner: str, cutter: Path, tmp_path: Path
) -> None:
    said = run([str(cutter), manner], tmp_path)
    found = re.fullmatch(r"(\d+) operations, (\d+) cuts left the old record, (\d+) the new\n", said)
    assert found is not None
    operations, old, new = map(int, found.groups())
    assert operations == 6 * (4 + 32)
    assert operations < old + new <= 2 * operations
    assert old > new
    assert (new > 0) == (manner != "0"), "a head that was programmed before the power went counts"


def test_a_damaged_record_counts_for_nothing(program: Path, tmp_path: Path) -> None:
    run([str(program), "flash.bin", "100"], tmp_path)
    whole = bytearray((tmp_path / "flash.bin").read_bytes())
    slot = len(whole) // 2
    for places, begins in (((HEAD + 40,), "from step 100"), ((HEAD + 40, slot + HEAD + 40), "from step 0")):
        damaged = bytearray(whole)
        for at in places:
            damaged[at] ^= 1
        (tmp_path / "flash.bin").write_bytes(damaged)
        assert run([str(program), "flash.bin", "101"], tmp_path).splitlines()[0] == begins


def test_a_record_of_another_network_counts_for_nothing(program: Path, tmp_path: Path) -> None:
    """Written by its description alone: number, size and record under one CRC-32 of zlib."""
    size = plan_block(gestures_bundle(), "block0").state_bytes
    run([str(program), "flash.bin", "50"], tmp_path)
    flash = bytearray((tmp_path / "flash.bin").read_bytes())
    said = []
    for difference in (0, 1):
        flash[HEAD + size] ^= difference
        record = bytes(flash[HEAD : HEAD + size + 8])
        flash[12:16] = struct.pack("<I", zlib.crc32(bytes(flash[4:12]) + record))
        (tmp_path / "flash.bin").write_bytes(flash)
        said.append(run([str(program), "flash.bin", "51"], tmp_path).splitlines()[0])
    assert said == ["from step 50", "from step 0"]


def test_wrong_words_and_files_are_told(program: Path, tmp_path: Path) -> None:
    for words, said in (([], "usage: gestures FLASH_FILE STEP"), ([str(tmp_path / "no" / "flash.bin"), "3"], "No such file")):
        done = subprocess.run([str(program), *words], capture_output=True, text=True, check=False, env=SANITISERS)
        assert done.returncode in (1, 2)
        assert said in done.stderr
    (tmp_path / "short.bin").write_bytes(b"no flash")
    done = subprocess.run([str(program), "short.bin", "3"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, "flash does not keep what is written" in done.stdout) == (1, True)
