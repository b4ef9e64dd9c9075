"""What edgebll.h says of several blocks: they share arena and scratch, and one takes what another left there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from support.c_library import SANITISERS, build_program
from support.microcontroller_bundles import batches, microcontroller_bundle

from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll_devices.microcontroller.block_as_c import block_as_c

DRIVER = Path(__file__).parents[3] / "support" / "two_blocks.c"


def test_two_blocks_train_in_one_arena_with_the_bits_of_two_apart(tmp_path: Path) -> None:
    bundle = microcontroller_bundle("mlp")
    written = [block_as_c(bundle, name) for name in ("block0", "block1")]
    sources = [path for block in written for path in block.write(tmp_path) if path.suffix == ".c"]
    program = build_program(tmp_path / "two_blocks", [DRIVER, *sources])
    samples, wanted = b"", b""
    with OrderedBlock(bundle, "block0") as first, OrderedBlock(bundle, "block1") as second:
        for x, y in batches(first.spec, 5):
            a, _, _ = first.train(x, y, {"lr": 0.05})
            second.train(a, y, {"lr": 0.05})
            samples += x.tobytes() + y.tobytes()
        for block, place in ((each, place) for each in (first, second) for place in each.plan.state.tensors):
            wanted += block.state()[place.tensor.name].tobytes()
    done = subprocess.run([str(program)], input=samples, capture_output=True, check=False, env=SANITISERS)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.rstrip(b"\0") == wanted.rstrip(b"\0")
