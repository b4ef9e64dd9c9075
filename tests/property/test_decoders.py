"""Every decoder of bytes from outside: caps hold before memory is taken, and nothing but a sentence of ours comes out.

`tests/soak/fuzz_*.py` feed the same decoders for as long as one likes, guided by coverage.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decoders import BOMBS, MEMORY_CAP, SEEDS, message

from edgebll.data.cifar import CIFAR10, load_cifar
from edgebll.kernel.errors import BundleError, DataError, EdgebllError, WireError
from edgebll.kernel.spec.file_entry import MAX_FILE_BYTES, FileEntry
from edgebll.kernel.spec.manifest import MAX_BLOCKS, MAX_EDGES, MAX_FILES
from edgebll.kernel.support.atomic_files import read_capped
from edgebll.kernel.wire import MESSAGE_TYPES, Failure, Stop
from edgebll.kernel.wire.codec import MAX_TEXT_BYTES, decode, encode, split

_DECODERS = sorted(SEEDS, key=lambda decoder: decoder.__name__)
_each = pytest.mark.parametrize("decoder", _DECODERS, ids=lambda decoder: decoder.__name__)


@_each
def test_seeds_are_accepted(decoder: Callable[[bytes], None]) -> None:
    for seed in SEEDS[decoder]:
        decoder(seed)


def test_every_decoder_has_a_fuzzer_and_every_message_type_a_seed() -> None:
    soak = Path(__file__).parents[1] / "soak"
    assert {path.stem for path in soak.glob("fuzz_*.py")} == {f"fuzz_{decoder.__name__}" for decoder in _DECODERS}
    assert {type(decode(split(seed))) for seed in SEEDS[message]} == set(MESSAGE_TYPES.values())


@pytest.mark.parametrize("case", sorted(BOMBS))
def test_what_announces_much_is_refused_and_takes_little(case: str) -> None:
    decoder, data, words = BOMBS[case]
    tracemalloc.start()
    try:
        with pytest.raises(EdgebllError, match=words) as caught:
            decoder(data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY_CAP
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


_CONFINED = """
import resource, sys
from support.decoders import BOMBS, MEMORY_CAP
from edgebll.kernel.errors import EdgebllError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_CAP, used + MEMORY_CAP))
for name, (decoder, data, _) in BOMBS.items():
    try:
        decoder(data)
    except EdgebllError as error:
        if isinstance(error.__context__, MemoryError):
            sys.exit(f"{name}: {error}")
    else:
        sys.exit(f"{name} was accepted")
"""


def test_the_cap_holds_where_the_system_enforces_it() -> None:
    paths = [str(Path(__file__).parents[1]), *sys.path]
    line = [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{_CONFINED}"]
    result = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


@_each
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_seeds_give_a_value_or_one_sentence(decoder: Callable[[bytes], None], data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS[decoder])))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(seed)))
        end = min(len(seed), start + data.draw(st.integers(0, 8)))
        seed[start:end] = data.draw(st.binary(max_size=8) | st.sampled_from([b"\xff" * 4, b"\0" * 8, b"[" * 50, b"\x7f"]))
    with contextlib.suppress(EdgebllError):
        decoder(bytes(seed))


@_each
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=100))
def test_any_bytes_give_a_value_or_one_sentence(decoder: Callable[[bytes], None], data: bytes) -> None:
    with contextlib.suppress(EdgebllError):
        decoder(data)


def test_what_a_failure_says_is_cut_and_other_long_texts_are_not_sent() -> None:
    long = "é" * MAX_TEXT_BYTES
    told = decode(encode(Failure("r", 1, long)))
    assert isinstance(told, Failure)
    assert told.message == long[: MAX_TEXT_BYTES // 2]
    for unfit in (Stop(long), Stop("x" * (MAX_TEXT_BYTES + 1))):
        with pytest.raises(WireError, match="cannot be sent; the cap is"):
            encode(unfit)
    assert decode(encode(Stop("x" * MAX_TEXT_BYTES))) == Stop("x" * MAX_TEXT_BYTES)


@pytest.mark.parametrize("sha256", ["", "0" * 63, "0" * 65, "A" * 64, "../" * 21 + "x", "/etc/passwd", "0" * 64 + "\n"])
def test_a_digest_that_is_none_names_no_file(sha256: str) -> None:
    with pytest.raises(BundleError, match="must be 64 hex digits"):
        FileEntry(sha256, 0)


@pytest.mark.parametrize("size", [-1, MAX_FILE_BYTES + 1, 1 << 80])
def test_a_file_that_cannot_be_is_refused(size: int) -> None:
    with pytest.raises(BundleError, match="bytes cannot be"):
        FileEntry("0" * 64, size)


def test_a_manifest_has_so_many_blocks_edges_and_files() -> None:
    import dataclasses
    import json

    from support.decoders import manifest

    from edgebll.kernel.bundle import parse_manifest

    whole = parse_manifest(SEEDS[manifest][0], "here")
    entry = next(iter(whole.files.values()))
    many: list[dict[str, object]] = [
        {"blocks": whole.blocks * (MAX_BLOCKS + 1)},
        {"edges": whole.edges * (MAX_EDGES + 1)},
        {"files": {f"f{i}.bin": entry for i in range(MAX_FILES + 1)}},
    ]
    for change in many:
        with pytest.raises(BundleError, match="cannot be; the cap is"):
            dataclasses.replace(whole, **change)  # type: ignore[arg-type]
    for wrong in ({"batch_size": 0}, {"num_classes": -1}, {"input_shape": (0,)}, {"input_shape": (1,) * 8}):
        with pytest.raises(BundleError, match="at least 1"):
            dataclasses.replace(whole, **wrong)
    with pytest.raises(BundleError, match="golden_steps"):
        dataclasses.replace(whole, golden_steps=-1)
    document = json.loads(SEEDS[manifest][0])
    document["blocks"][0]["state"][0]["shape"] = [1 << 20, 200]
    with pytest.raises(BundleError, match=r"has a state of 838860808 bytes, but its file has"):
        parse_manifest(json.dumps(document), "here")


def test_a_file_is_measured_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(ValueError, match="the cap is 10"):
        read_capped(path, 10)
    path.rename(tmp_path / CIFAR10.names[-1])
    with pytest.raises(DataError, match="more than 100000 records"):
        load_cifar(CIFAR10, "test", tmp_path)
