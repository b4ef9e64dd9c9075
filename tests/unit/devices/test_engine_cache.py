"""The cache of built engines: what makes two engines different, damage, sharing, size."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from edgebll.kernel.execution.load_context import default_engine_dir
from edgebll_devices.runtimes.tensorrt.builder import BuildOptions
from edgebll_devices.runtimes.tensorrt.engine_cache import EngineCache, engine_key, place_key
from edgebll_devices.runtimes.tensorrt.gpu_info import GpuInfo

ORIN = GpuInfo("Orin", (8, 7), 8, 8 << 30, True)
OPTIONS = BuildOptions(workspace_bytes=1 << 30)


def test_a_key_changes_with_everything_an_engine_depends_on() -> None:
    keys = [
        engine_key(b"graph", ORIN, "TensorRT 10.3.0", OPTIONS),
        engine_key(b"other", ORIN, "TensorRT 10.3.0", OPTIONS),
        engine_key(b"graph", ORIN, "TensorRT 10.3.1", OPTIONS),
        engine_key(b"graph", ORIN, "TensorRT 10.3.0", replace(OPTIONS, tf32=True)),
        engine_key(b"graph", ORIN, "TensorRT 10.3.0", replace(OPTIONS, workspace_bytes=2)),
        *(
            engine_key(b"graph", gpu, "TensorRT 10.3.0", OPTIONS)
            for gpu in (replace(ORIN, name="Thor"), replace(ORIN, capability=(8, 6)), replace(ORIN, multiprocessors=16))
        ),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == engine_key(b"graph", replace(ORIN, memory_bytes=1), "TensorRT 10.3.0", OPTIONS)
    assert place_key(ORIN, "TensorRT 10.3.0") != place_key(ORIN, "TensorRT 8.6.2")


def test_engines_and_timings_are_kept(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "new" / "engines")
    assert cache.engine("key") is None
    assert cache.timings("place") == b""
    cache.keep_engine("key", b"an engine")
    cache.keep_timings("place", b"times")
    cache.keep_timings("elsewhere", b"")
    again = EngineCache(tmp_path / "new" / "engines")
    assert (again.engine("key"), again.timings("place")) == (b"an engine", b"times")
    assert sorted(path.name for path in (tmp_path / "new" / "engines").iterdir()) == ["key.engine", "place.timings"]
    again.drop_engine("key")
    again.drop_engine("key")
    assert cache.engine("key") is None


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_damaged_engine_is_removed(tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    cache = EngineCache(tmp_path)
    cache.keep_engine("key", b"an engine")
    path = tmp_path / "key.engine"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?" if damage is None else damage)
    assert cache.engine("key") is None
    assert not path.exists()
    assert "damaged" in caplog.text


def test_the_engines_used_longest_ago_make_room(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path, limit_bytes=3 * (100 + 32))
    for age, key in enumerate("abc"):
        cache.keep_engine(key, bytes(100))
        os.utime(tmp_path / f"{key}.engine", (1000 + age, 1000 + age))
    assert cache.engine("a") is not None  # used now, so the youngest
    cache.keep_engine("d", bytes(100))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c", "d"]
    cache.keep_engine("large", bytes(1000))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["large"]


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = EngineCache(tmp_path / "file" / "engines")
    cache.keep_engine("key", b"an engine")
    assert cache.engine("key") is None
    assert "will be made anew" in caplog.text


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBLL_ENGINES", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert default_engine_dir() == Path.home() / ".cache/edgebll/engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert default_engine_dir() == Path("/var/cache/edgebll/engines")
    monkeypatch.setenv("EDGEBLL_ENGINES", "/data/engines")
    assert default_engine_dir() == Path("/data/engines")
