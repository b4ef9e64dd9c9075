"""cluster.toml and the placement of blocks."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import new_key_pair
from edgebll_firmware_host.inventory import BoardEntry, load_cluster
from edgebll_firmware_host.policy.block_placement import place

GOOD = """
[host]
window = 5
[[board]]
name = "a"
endpoint = "tcp://127.0.0.1:7101"
[[board]]
name = "b"
endpoint = "tcp://127.0.0.1:7102"
blocks = ["block1"]
threads = 2
"""


def load(tmp_path: Path, text: str):  # type: ignore[no-untyped-def]
    file = tmp_path / "cluster.toml"
    file.write_text(text)
    return load_cluster(file)


def test_a_cluster_is_read(tmp_path: Path) -> None:
    cluster = load(tmp_path, GOOD)
    assert cluster.names == ("a", "b")
    assert cluster.host.window == 5
    assert cluster.boards[1] == BoardEntry("b", "tcp://127.0.0.1:7102", blocks=("block1",), threads=2)
    assert cluster.with_window(9).host.window == 9
    assert cluster.with_window(None) is cluster


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("window = 5", "window = 0"), "window must be at least 1"),
        (("window = 5", 'window = "5"'), "expected int"),
        (("window = 5", "windoww = 5"), "unknown field 'windoww'"),
        (("window = 5", "deadline_s = 0"), "deadline_s"),
        (('"b"', '"a"'), "two boards have the name 'a'"),
        (("7102", "7101"), "two boards have the endpoint"),
        (("tcp://127.0.0.1:7102", "127.0.0.1:7102"), "must look like tcp://"),
        (("tcp://127.0.0.1:7102", "tcp://10.0.0.2:7102"), "needs a key on both sides"),
        (("tcp://127.0.0.1:7102", "tcp://127.0.0.1:0"), "board b: nobody can connect to 'tcp://127.0.0.1:0'"),
        (("tcp://127.0.0.1:7102", "tcp://127.0.0.1:*"), "nobody can connect to"),
        (("tcp://127.0.0.1:7102", "tcp://*:7102"), "nobody can connect to"),
        (("tcp://127.0.0.1:7102", "tcp://0.0.0.0:7102"), "nobody can connect to"),
        (("tcp://127.0.0.1:7102", "tcp://[::]:7102"), "nobody can connect to"),
        (("tcp://127.0.0.1:7102", "tcp://bo\\u0000ard:7102"), "nobody can connect to"),
        (("threads = 2", "threads = 0"), "threads must be at least 1"),
        (("threads = 2", 'runtime = "nix"'), "board b: the runtime must be one of onnxruntime, .*, not 'nix'"),
        (("threads = 2", 'public_key = "short"'), "board b: a public key must be 40 characters"),
        (('"b"', '"b\\u0000"'), r"a board's name must be 1 to 63 letters, .* but is 'b\\x00'"),
        (("[host]", "[host"), "is not TOML"),
    ],
)
def test_wrong_entries_are_refused_with_one_sentence(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load(tmp_path, GOOD.replace(*change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["b0", "orin-1.lab_2", "Größe", "板", "nu\u0308", "7"])
def test_letters_of_any_script_make_a_name(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, GOOD.replace('"b"', f'"{name}"')).names == ("a", name)


@pytest.mark.parametrize("name", ["", " ", "a b", "b\u0000", "b\n", "b\x1b[2J", "\u202eb", "a/b", "-rf", "b" * 64, "\ud800"])
def test_other_characters_do_not(name: str) -> None:
    with pytest.raises(ConfigError, match="a board's name must be") as caught:
        BoardEntry(name, "tcp://127.0.0.1:7101")
    assert str(caught.value).isprintable()


def test_no_boards_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one"):
        load(tmp_path, "[host]\nwindow = 2\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_cluster(tmp_path / "absent.toml")


def test_keys_are_all_or_none(tmp_path: Path) -> None:
    new_key_pair(tmp_path / "host.key")
    text = GOOD.replace("window = 5", 'window = 5\nkey = "host.key"')
    with pytest.raises(ConfigError, match="board a has no public_key"):
        load(tmp_path, text)


def boards(count: int, **pinned: tuple[str, ...]) -> list[BoardEntry]:
    names = [chr(ord("a") + index) for index in range(count)]
    return [BoardEntry(n, f"tcp://127.0.0.1:{7000 + i}", blocks=pinned.get(n, ())) for i, n in enumerate(names)]


@given(weights=st.lists(st.floats(0.1, 100), min_size=1, max_size=8), count=st.integers(1, 10))
def test_placement_is_contiguous_and_complete(weights: list[float], count: int) -> None:
    blocks = [f"block{index}" for index in range(len(weights))]
    placed = place(blocks, weights, boards(count))
    assert [block for hosted in placed.blocks.values() for block in hosted] == blocks
    assert len(placed.blocks) == min(count, len(blocks))
    assert all(placed.board_of(block) in placed.blocks for block in blocks)


def test_several_blocks_share_a_board_by_weight() -> None:
    placed = place(["block0", "block1", "block2"], [1.0, 1.0, 2.0], boards(2))
    assert placed.blocks == {"a": ("block0", "block1"), "b": ("block2",)}


def test_pinned_blocks_stay_where_they_are() -> None:
    placed = place(["block0", "block1"], [1.0, 1.0], boards(3, a=("block1",), c=("block0",)))
    assert placed.blocks == {"a": ("block1",), "c": ("block0",)}


@pytest.mark.parametrize(
    ("pinned", "words"),
    [
        ({"a": ("block9",)}, "'block9', but the bundle has"),
        ({"a": ("block0",)}, "no board is to host 'block1'"),
        ({"a": ("block0", "block1"), "b": ("block1",)}, "'block1' is to run on two boards"),
    ],
)
def test_wrong_pins_are_refused(pinned: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        place(["block0", "block1"], [1.0, 1.0], boards(2, **pinned))
