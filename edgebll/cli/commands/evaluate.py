"""`edgebll eval`: accuracy of a run or a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.data_options import DataDirOption
from edgebll.cli.machine_facts import default_threads, import_torch
from edgebll.cli.output import JsonOption, print_json, with_source
from edgebll.kernel.bundle import MANIFEST, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_folder import open_run
from edgebll.kernel.runs.run_lock import CONFIG

if TYPE_CHECKING:
    from edgebll.data import Dataset

#: Where a pipelined run keeps the bundle with its final states.
RUN_BUNDLE = "bundle"


def evaluate(
    path: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder or a bundle.")],
    data: Annotated[
        str | None, typer.Option(help="Data set. [default: the one the run was trained on]", show_default=False)
    ] = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use at most so many samples.")] = None,
    runtime: Annotated[str, typer.Option(help="Runtime for bundles, e.g. onnxruntime, tensorrt or reference.")] = "onnxruntime",
    int8: Annotated[bool, typer.Option("--int8", help="Use the int8 forward graphs of `edgebll quantize`.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: the usable cores]", show_default=False)] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate a trained network: a run of `edgebll train` with PyTorch, a pipelined run or a bundle with its graphs."""
    from edgebll.data import load_dataset

    if threads is not None and threads < 1:
        raise ConfigError(f"--threads must be at least 1, not {threads}")
    bundle = _bundle_of(path)
    if int8 and bundle is None:
        raise ConfigError(f"--int8 needs a quantised bundle, and {path} is a training run; use `edgebll export` and `quantize`")
    dataset = load_dataset(data or _recorded_data(path, bundle), split, data_dir, limit)
    count = threads or default_threads()
    accuracy, loss = (
        _evaluate_run(path, dataset, count) if bundle is None else _evaluate_bundle(bundle, dataset, runtime, count, int8)
    )
    result = {
        "path": str(path),
        "data": dataset.name,
        "data_source": dataset.source,
        "split": split,
        "accuracy": accuracy,
        "loss": loss,
        "count": len(dataset),
    }
    if json:
        print_json(result)
    else:
        typer.echo(
            f"{path}: accuracy {100 * accuracy:.2f} %, loss {loss:.4f} on {len(dataset)} {split} samples of "
            f"{with_source(dataset.name, dataset.source)}"
        )


def _bundle_of(path: Path) -> Path | None:
    """The bundle to evaluate, or None for a run of the trainer.

    Raises:
        BundleError: `path` is neither a run nor a bundle, or the run is not whole.
    """
    if (path / MANIFEST).is_file():
        return path
    if not (path / CONFIG).is_file():
        raise BundleError(
            f"{path} is neither a run nor a bundle; give a folder of `edgebll train`, `simulate`, `run` or `export`"
        )
    config, _summary = open_run(path)
    if config.get("kind") == "train":
        return None
    if not (path / RUN_BUNDLE / MANIFEST).is_file():
        raise BundleError(f"{path} has no {RUN_BUNDLE}/ with final states, so it cannot be evaluated; run it again")
    return path / RUN_BUNDLE


def _recorded_data(path: Path, bundle: Path | None) -> str:
    recorded: Any = None
    if (path / CONFIG).is_file():
        recorded = open_run(path)[0].get("data")
    elif bundle is not None:
        recorded = open_bundle(bundle, verify=False).manifest.recipe.get("data")
    if not isinstance(recorded, str):
        raise ConfigError(f"{path} does not say which data set it was trained on; give one with --data")
    return recorded


def _evaluate_run(path: Path, dataset: Dataset, threads: int) -> tuple[float, float]:
    torch = import_torch("train", "evaluating a training run")
    from edgebll.learning.training import load_run

    torch.set_num_threads(threads)
    result = load_run(path).evaluate(dataset)
    return result.accuracy, result.loss


def _evaluate_bundle(path: Path, dataset: Dataset, runtime: str, threads: int, int8: bool) -> tuple[float, float]:
    from edgebll.data.bundle_evaluation import evaluate_bundle

    result = evaluate_bundle(open_bundle(path), dataset, runtime, threads, int8=int8)
    return result["accuracy"], result["loss"]
