"""`edgebll firmware embed`: C constants of a bundle's blocks, and what is refused before anything is written."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.microcontroller_bundles import microcontroller_bundle
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller import plan_block
from edgebll_devices.microcontroller.block_as_c import block_as_c


def bundle_path() -> Path:
    return microcontroller_bundle("mlp").path


def constant(text: str, name: str) -> bytes:
    found = re.search(rf"uint32_t {name}\[\] = {{(.*?)}};", text, re.DOTALL)
    assert found is not None, name
    return np.array([int(word, 16) for word in re.findall(r"0x[0-9a-f]{8}", found[1])], "<u4").tobytes()


def test_all_blocks_are_written_with_their_plans_state_and_sizes(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["firmware", "embed", str(bundle_path()), "--out", str(tmp_path / "src"), "--json"])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "src").iterdir()) == ["block0.c", "block0.h", "block1.c", "block1.h"]
    bundle = microcontroller_bundle("mlp")
    for row in json.loads(result.stdout):
        plan, spec = plan_block(bundle, row["block"]), bundle.manifest.block(row["block"])
        source, header = (Path(path).read_text("ascii") for path in row["files"])
        for graph, content in plan.encoded.items():
            assert constant(source, f"{row['name']}_{graph}") == content
        state = constant(source, f"{row['name']}_state")
        for place in plan.state.tensors:
            kept = bundle.state(row["block"])[place.tensor.name].tobytes()
            assert state[place.offset : place.offset + len(kept)] == kept
            assert re.search(
                rf" {place.offset}  {re.escape(place.tensor.dtype)}\[.*\]  {re.escape(place.tensor.name)}\n", header
            )
        numbers = {name: int(number) for name, number in re.findall(r"#define BLOCK\d_(\w+) (\d+)u", header)}
        assert numbers["X_COUNT"] == np.prod(spec.input.shape)
        assert (numbers["STATE_BYTES"], numbers["BATCH"]) == (len(state), 2)
        assert numbers["ARENA_BYTES"] % 8 == 0
        assert 0 <= numbers["ARENA_BYTES"] - plan.arena_bytes < 8
        assert row["flash_bytes"] == len(state) + sum(map(len, plan.encoded.values()))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--name", "gestures"], 2, "--name is for one block, and .* has block0, block1; say which with --block"),
        (["--block", "block7"], 3, "there is no block 'block7'; the bundle has block0, block1"),
        (["--block", "block0", "--name", "register"], 2, "'register' cannot name a block in C; give one with --name"),
        (["--block", "block0", "--name", "edgebll"], 2, "'edgebll' cannot name"),
        (["--block", "block0", "--name", "../x"], 2, "'../x' cannot name"),
    ],
)
def test_wrong_blocks_and_names_are_refused_and_nothing_is_written(
    arguments: list[str], code: int, words: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["firmware", "embed", str(bundle_path()), "--out", str(tmp_path / "src"), *arguments])
    assert (result.exit_code, (tmp_path / "src").exists()) == (code, False)
    assert re.search(words, f"{result.exception} {result.output}")


def test_a_block_that_takes_more_than_the_library_gives_is_refused() -> None:
    bundle = microcontroller_bundle("mlp")
    first, second = bundle.manifest.blocks
    masked = replace(bundle.manifest, blocks=(replace(first, scalars=("lr", "count")), second))
    with pytest.raises(BundleError, match="block0 takes count besides x, y and lr, which the C library does not give; export"):
        block_as_c(replace(bundle, manifest=masked), "block0")
