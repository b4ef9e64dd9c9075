"""The C++ program of examples/cpp: compiled without a warning, it trains blocks to their golden vectors."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.documents import ROOT
from support.exported import mixed, mlp, resnet
from support.onnxruntime_headers import HEADER, find_headers, link_library

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import load_tensors, save_tensors

SOURCE = ROOT / "examples" / "cpp"
COMPILER = shutil.which("c++") or shutil.which("g++")
HEADERS = find_headers()

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler: apt install g++"),
    pytest.mark.skipif(
        HEADERS is None, reason=f"needs {HEADER}: run `make cpp-headers`, or set ONNXRUNTIME_INCLUDE to its folder"
    ),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program."""
    folder = tmp_path_factory.mktemp("cpp")
    library = link_library(folder)
    strict = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    files = [str(SOURCE / "train_block.cpp"), str(library), "-o", str(folder / "train_block")]
    command = [str(COMPILER), *strict, "-isystem", str(HEADERS), *files, f"-Wl,-rpath,{folder}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "train_block"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Two dense blocks."""
    return mlp(tmp_path_factory.mktemp("bundles") / "mlp")


def run(program: Path, folder: Path, code: int) -> str:
    done = subprocess.run([str(program), str(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code < 2 else done.stderr


@pytest.mark.parametrize("make", [mlp, resnet, mixed], ids=["dense", "residual", "adamw"])
def test_it_trains_every_block_to_the_golden_vectors(make: Callable[[Path], Bundle], program: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "bundle")
    for spec in made.manifest.blocks:
        said = run(program, made.path / spec.name, 0)
        compared = made.manifest.golden_steps * (len(spec.state) + len(spec.sent) + 2)
        assert said.startswith(f"{made.manifest.golden_steps} steps, {compared} results compared, 0 differ"), said


def test_it_finds_a_result_that_is_a_little_off(bundle: Bundle, program: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle.path / "block0", tmp_path / "block0"))
    golden = load_tensors(folder / "golden.safetensors")
    name = next(key for key in golden if key.startswith("final/net.") and key.endswith("weight"))
    before = golden[name.replace("final", "1/next")]
    golden[name] = (golden[name] + 0.01 * (golden[name] - before)).astype(np.float32)
    save_tensors(folder / "golden.safetensors", golden)
    said = run(program, folder, 1)
    assert f"{name} differs by" in said
    assert "1 differ" in said


def test_it_says_what_is_missing_or_damaged(bundle: Bundle, program: Path, tmp_path: Path) -> None:
    assert "cannot read" in run(program, tmp_path / "nowhere", 2)
    folder = Path(shutil.copytree(bundle.path / "block0", tmp_path / "block0"))
    state = (folder / "state.safetensors").read_bytes()
    for damaged, words in (
        (state[:5], "is too short"),
        (state[:40], "is not whole"),
        (state[:-4], "is not in the file"),
        (state[:8] + b"[" + state[9:], "the header is damaged"),
        (state.replace(b'"F32"', b'"F99"', 1), "the dtype F99 is none of a bundle"),
    ):
        (folder / "state.safetensors").write_bytes(damaged)
        assert words in run(program, folder, 2)
    (folder / "state.safetensors").write_bytes(state)
    (folder / "step.onnx").write_bytes(b"no graph")
    assert "ONNX Runtime: " in run(program, folder, 2)
