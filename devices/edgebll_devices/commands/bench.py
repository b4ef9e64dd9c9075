"""`edgebll-board bench`: how fast this board computes a merged model or the blocks of a bundle, and in how much memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.command_group import example
from edgebll.cli.output import JsonOption, print_json, print_table, show_long_work
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support import bounds
from edgebll.kernel.support.bounds import COUNT, Bounds, spelled_as_options

if TYPE_CHECKING:
    from edgebll_devices.benchmark.latency import Latency

_SECONDS = Bounds("seconds", 0.0, 3600.0, above=True)
_MIB = 1 << 20


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command(
        short_help="Measure how fast this board computes a model or a bundle.",
        epilog=example("edgebll-board bench model.onnx", "edgebll-board bench bundles/first --block block0"),
    )(bench)


def bench(
    path: Annotated[
        Path, typer.Argument(metavar="MODEL_OR_BUNDLE", help="An ONNX file, e.g. of `edgebll merge`, or a bundle.")
    ],
    block: Annotated[str | None, typer.Option(help="Of a bundle, this block alone. [default: all]", show_default=False)] = None,
    batch: Annotated[
        int | None, typer.Option(help="Of a model that takes any number, samples at once. [default: 1]", show_default=False)
    ] = None,
    runtime: Annotated[str, typer.Option(help="Of a bundle, what computes: onnxruntime, tensorrt, ...")] = "onnxruntime",
    threads: Annotated[int, typer.Option(help="Threads of one call.")] = 1,
    seconds: Annotated[float, typer.Option(help="How long each is measured, for at least 20 calls.")] = 2.0,
    json: JsonOption = False,
) -> None:
    """Measure latency (median and 95th percentile of a call) and memory (the highest above this process's own) on this board.

    A model is run on random inputs; of a block a training step and a forward pass, which leave the bundle as it is.
    """
    with spelled_as_options():
        bounds.THREADS.check("threads", threads)
        _SECONDS.check("seconds", seconds)
        if batch is not None:
            COUNT.check("batch", batch)
    show_long_work()
    if path.is_dir():
        if batch is not None:
            raise ConfigError("--batch is of a model; a bundle's graphs are made for its own batch size")
        _bench_bundle(path, block, runtime, threads, seconds, json)
        return
    if block is not None or runtime != "onnxruntime":
        raise ConfigError(f"--block and --runtime are of a bundle, and {path} is none; leave them out")
    _bench_model(path, batch, threads, seconds, json)


def _bench_model(path: Path, batch: int | None, threads: int, seconds: float, json: bool) -> None:
    from edgebll_devices.benchmark.model_timing import time_model

    timing = time_model(path, batch=batch, threads=threads, seconds=seconds)
    shared = {"model": str(path), "batch": timing.batch, "threads": threads}
    if json:
        print_json({**shared, **_plain(timing.latency), "memory_bytes": timing.memory_bytes, "about": timing.about})
        return
    what = ", ".join(filter(None, (timing.about.get("numbers"), f"batches of {timing.batch}", f"{threads} thread(s)")))
    _print([("model", timing.latency, timing.memory_bytes, timing.batch)], f"{path}: {what}")


def _bench_bundle(path: Path, block: str | None, runtime: str, threads: int, seconds: float, json: bool) -> None:
    from edgebll_devices.benchmark.block_timing import time_block

    bundle = open_bundle(path)
    names = [spec.name for spec in bundle.manifest.blocks]
    if block is not None:
        names = [bundle.manifest.block(block).name]
    timings = [time_block(bundle, name, runtime, threads=threads, seconds=seconds) for name in names]
    batch = bundle.manifest.batch_size
    if json:
        blocks = [
            {"block": t.block, "train": _plain(t.train), "predict": _plain(t.predict), "memory_bytes": t.memory_bytes}
            for t in timings
        ]
        print_json({"bundle": str(path), "runtime": runtime, "batch": batch, "threads": threads, "blocks": blocks})
        return
    rows: list[tuple[str, Latency, int | None, int]] = []
    for timing in timings:
        rows.append((f"{timing.block} train", timing.train, timing.memory_bytes, batch))
        rows.append((f"{timing.block} predict", timing.predict, None, batch))
    _print(rows, f"{path} on {runtime}: batches of {batch}, {threads} thread(s)")


def _plain(latency: Latency) -> dict[str, Any]:
    return latency._asdict()


def _print(rows: list[tuple[str, Latency, int | None, int]], title: str) -> None:
    columns = ("", "p50, ms", "p95, ms", "samples/s", "calls", "memory, MiB")
    cells = [
        (
            name,
            f"{latency.p50_ms:.3f}",
            f"{latency.p95_ms:.3f}",
            f"{1e3 * batch / max(latency.p50_ms, 1e-9):.0f}",
            str(latency.calls),
            "" if memory is None else f"{memory / _MIB:.1f}",
        )
        for name, latency, memory, batch in rows
    ]
    print_table(columns, cells, title=title, right=columns[1:])
