"""Commands on runs and bundles - eval, export, quantize, verify - called in this process: what they print, how they end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.command_calls import call, sentence
from support.idx_files import write_fashion_mnist

from edgebll.kernel.runs.run_folder import RunFolder, open_run


def test_eval_agrees_with_the_run(run: Path) -> None:
    summary = open_run(run)[1]
    result = json.loads(call("eval", run, "--json").stdout)
    assert (result["accuracy"], result["loss"]) == (summary["accuracy"], summary["loss"])
    assert (result["data"], result["split"], result["count"]) == ("digits", "test", 360)
    assert "on 10 train samples of digits" in call("eval", run, "--data", "digits", "--split", "train", "--limit", "10").stdout


@pytest.mark.parametrize("runtime", ["onnxruntime", "reference"])
def test_eval_of_a_bundle_agrees_with_the_run_it_came_from(run: Path, bundle: Path, runtime: str) -> None:
    arguments = ["--limit", "100", "--threads", "1", "--json"]
    expected = json.loads(call("eval", run, *arguments).stdout)
    result = json.loads(call("eval", bundle, "--runtime", runtime, *arguments).stdout)
    assert result["accuracy"] == expected["accuracy"]
    assert result["loss"] == pytest.approx(expected["loss"], rel=1e-4)
    assert result["data"] == "digits"


def test_eval_of_a_pipelined_run_takes_its_bundle(tmp_path: Path, run: Path, bundle: Path) -> None:
    pipelined = tmp_path / "run"
    with RunFolder.create(pipelined, {"kind": "pipeline", "data": "digits"}) as folder:
        shutil.copytree(bundle, pipelined / "bundle")
        folder.finish({})
    result = json.loads(call("eval", pipelined, "--limit", "100", "--json").stdout)
    assert result["accuracy"] == json.loads(call("eval", run, "--limit", "100", "--json").stdout)["accuracy"]
    (pipelined / "bundle" / "block0" / "forward.onnx").write_bytes(b"")
    assert "SHA-256 differs" in sentence(call("eval", pipelined, code=3))


def test_eval_refuses_in_one_sentence(tmp_path: Path, run: Path) -> None:
    write_fashion_mnist(tmp_path / "data")
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "run.json").write_text('{"kind": "train"}')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "run.json").write_text('{"kind": "other"}')
    (tmp_path / "odd" / "summary.json").write_text("{}")
    for arguments, code, text in (
        ([tmp_path / "nowhere"], 3, "neither a run nor a bundle"),
        ([tmp_path / "open"], 3, "did not finish"),
        ([tmp_path / "odd"], 3, "no bundle/"),
        ([run, "--split", "validation"], 2, "the split must be"),
        ([run, "--threads", "0"], 2, "--threads"),
        ([run, "--data", "fashion-mnist", "--data-dir", tmp_path / "data"], 4, "give the data set it was trained on"),
    ):
        assert text in sentence(call("eval", *arguments, code=code))


def test_export_lists_the_blocks(run: Path, bundle: Path) -> None:
    table = call("export", run, "--out", bundle.with_name("initial"), "--state", "initial", "--batch-size", "8").stdout
    assert "batches of 8" in table
    assert "block1" in table
    result = json.loads(call("export", run, "--out", bundle.with_name("again"), "--json").stdout)
    assert [block["name"] for block in result["blocks"]] == ["block0", "block1"]
    assert result["batch_size"] == 64


def test_export_refuses_in_one_sentence(tmp_path: Path, run: Path) -> None:
    cases: list[tuple[list[str | Path], int, str]] = [
        ([tmp_path / "nowhere", "--out", tmp_path / "b"], 3, "is not a run folder"),
        ([run, "--out", tmp_path / "b", "--state", "best"], 2, "trained or initial"),
        ([run, "--out", tmp_path / "b", "--batch-size", "0"], 2, "at least 1"),
        ([run, "--out", run], 9, "is not a bundle"),
        ([run, "--out", "/nowhere-at-all/b"], 9, "there is no folder /nowhere-at-all"),
        ([run, "--out", tmp_path / "b", "--precision", "float8"], 2, "--precision must be one of float32, mixed"),
        ([run, "--out", tmp_path / "b", "--precision", "bfloat16"], 5, "does not compute in bfloat16"),
        ([run, "--out", tmp_path / "b", "--threads", "0"], 2, "at least 1"),
        ([run, "--out", tmp_path / "b", "--target", "tensorrt-10", "--threads", "1"], 2, "threads of a processor mean nothing"),
    ]
    for arguments, code, text in cases:
        result = call("export", *arguments, code=code)
        assert text in sentence(result)


def test_batches_of_one_are_refused_where_batch_norm_needs_more(tmp_path: Path, run: Path) -> None:
    result = call("export", run, "--out", tmp_path / "b", "--batch-size", "1", code=5)
    assert "export with a larger --batch-size" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_number_of_threads_reaches_the_target(tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgebll_export.bundles import export_trained

    targets: list[Any] = []
    original: Any = vars(export_trained)["export_run"]
    monkeypatch.setattr(export_trained, "export_run", lambda *a, **k: (targets.append(k["target"]), original(*a, **k))[1])
    for threads in ("1", "2"):
        call("export", run, "--out", tmp_path / "b", "--threads", threads)
    assert [target.scans for target in targets] == [True, False]


def test_quantize_refuses_other_samples(tmp_path: Path, bundle: Path) -> None:
    write_fashion_mnist(tmp_path / "data")
    options: list[str | Path] = ["--data", "fashion-mnist", "--data-dir", tmp_path / "data"]
    words = "use the data set it was made for"
    assert words in sentence(call("eval", bundle, *options, code=4))
    assert words in sentence(call("quantize", bundle, "--out", tmp_path / "q", *options, code=4))
    assert not (tmp_path / "q").exists()


def test_verify_prints_every_output_and_ends_with_code_6_on_excess(bundle: Path, tmp_path: Path) -> None:
    result = call("verify", bundle, "--steps", "2")
    for text in ("feedback.weight.next", "metrics", "forward", "momentum.net.", "all ", "max rel error"):
        assert text in result.output
    shutil.copytree(bundle, tmp_path / "other")
    manifest = json.loads((tmp_path / "other" / "manifest.json").read_text())
    manifest["optimizer"]["weight_decay"] = 0.01  # so that PyTorch learns otherwise than the graphs
    (tmp_path / "other" / "manifest.json").write_text(json.dumps(manifest))
    strict = call("verify", tmp_path / "other", "--steps", "1", "--json", code=6)
    outputs = json.loads(strict.stdout)
    assert not outputs["passed"]
    assert any(row["failed"] for row in outputs["outputs"])
    assert "do not use this bundle" in sentence(strict)


def test_verify_refuses_what_is_no_bundle(tmp_path: Path, bundle: Path) -> None:
    assert "is not a bundle" in sentence(call("verify", tmp_path, code=3))
    assert "above 0" in sentence(call("verify", bundle, "--tolerance", "0", code=2))
    assert "at least 1" in sentence(call("verify", bundle, "--steps", "0", code=2))
