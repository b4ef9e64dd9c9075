"""The C++ program of examples/cpp: compiled without a warning, it trains blocks to their golden vectors.

It is compiled with the compiler's sanitisers, so a read beyond a buffer ends it. Where CPP_EXAMPLE is "required", as in
`.ci/run`, a machine without a compiler or the header fails instead of passing the test over.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

#: A read beyond a buffer, or what C++ does not define, ends the program with a code of its own.
SANITISED = ["-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
SANITISERS = {"ASAN_OPTIONS": "detect_leaks=0:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}


def check_tools(compiler: str | None, headers: Path | None, required: bool) -> None:
    """Skip what cannot be compiled here, or fail where it must be."""
    missing = [
        *(["a C++ compiler: apt install g++"] if compiler is None else []),
        *([f"{HEADER}: run `make cpp-headers`, or set ONNXRUNTIME_INCLUDE to its folder"] if headers is None else []),
    ]
    if missing:
        (pytest.fail if required else pytest.skip)("needs " + "; and ".join(missing))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled program."""
    check_tools(COMPILER, HEADERS, os.environ.get("CPP_EXAMPLE") == "required")
    folder = tmp_path_factory.mktemp("cpp")
    library = link_library(folder)
    strict = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *SANITISED]
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
    command, watched = [str(program), str(folder)], {**os.environ, **SANITISERS}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=watched)
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


def without(name: str) -> Callable[[dict[str, np.ndarray]], Any]:
    return lambda golden: golden.pop(name)


def put(name: str, value: np.ndarray) -> Callable[[dict[str, np.ndarray]], Any]:
    return lambda golden: golden.update({name: value})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (put("0/a", np.zeros((1000, 1000), np.float32)), "another dtype or shape of 0/a than the step gives"),
        (put("0/metrics", np.zeros((1,), np.float32)), "another dtype or shape of 0/metrics"),
        (put("1/a", np.zeros((1 << 20,), np.int64)), "another dtype or shape of 1/a"),
        (put("0/next/net.2.0.weight", np.zeros((1 << 20,), np.float32)), "another dtype or shape of 0/next/net.2.0.weight"),
        (put("rounding/0/a", np.zeros((), np.float32)), "rounding/0/a is not two numbers"),
        (put("rounding/0/a", np.zeros((2,), np.int64)), "is I64 where F32 was expected"),
        (put("0/x", np.zeros((1, 1, 6, 6), np.float32)), "ONNX Runtime: "),
        (without("0/a"), "there is no tensor 0/a"),
        (without("1/lr"), "there is no tensor 1/lr"),
        (without("final/net.2.0.weight"), "there is no tensor final/net.2.0.weight"),
    ],
)
def test_golden_vectors_that_do_not_fit_are_told_and_not_read(
    damage: Callable[[dict[str, np.ndarray]], Any], words: str, bundle: Bundle, program: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(bundle.path / "block0", tmp_path / "block0"))
    golden = dict(load_tensors(folder / "golden.safetensors"))
    damage(golden)
    save_tensors(folder / "golden.safetensors", golden)
    assert words in run(program, folder, 2)


def test_a_size_beyond_all_numbers_is_refused(bundle: Bundle, program: Path, tmp_path: Path) -> None:
    """2^31 * 2^31 * 4 elements are 2^64, which a count of 64 bits holds as 0."""
    folder = Path(shutil.copytree(bundle.path / "block0", tmp_path / "block0"))
    entry = {"dtype": "F32", "shape": [1 << 31, 1 << 31, 4], "data_offsets": [0, 0]}
    header = json.dumps({"0/x": entry}).encode()
    (folder / "golden.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "a tensor is larger than any file" in run(program, folder, 2)


def test_what_continuous_integration_needs_is_not_passed_over() -> None:
    assert "export CPP_EXAMPLE=required" in (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    for compiler, headers in ((None, ROOT), ("c++", None)):
        with pytest.raises(pytest.fail.Exception, match=r"needs (a C\+\+ compiler|onnxruntime_c_api\.h)"):
            check_tools(compiler, headers, required=True)
        with pytest.raises(pytest.skip.Exception):
            check_tools(compiler, headers, required=False)
    check_tools("c++", ROOT, required=True)
