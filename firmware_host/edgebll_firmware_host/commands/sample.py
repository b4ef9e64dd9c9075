"""`edgebll sample`: a text from a trained network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.output import JsonOption, print_json
from edgebll.cli.progress import RunProgress
from edgebll.data.texts.shown_text import ShownText
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll_firmware_host.run import text_entry_point


def sample(
    path: Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run, a bundle, or a model of `edgebll merge`.")],
    prompt: Annotated[
        str, typer.Option(help="What the text begins with, at least one byte. [default: a new line]", show_default=False)
    ] = "\n",
    count: Annotated[int, typer.Option("--bytes", help="Bytes to choose.")] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 likelier bytes, 0 the likeliest, above 1 odder ones.")] = 0.8,
    seed: Annotated[int, typer.Option(help="Decides the draws.")] = 0,
    boards: Annotated[int, typer.Option(help="Compute on so many agents of this machine; 0 computes in this process.")] = 0,
    cluster: Annotated[Path | None, typer.Option(help="Compute on the boards of this inventory, cluster.toml.")] = None,
    runtime: Annotated[
        str,
        typer.Option(help="Runtime for bundles here and on --boards, e.g. reference; those of an inventory have their own."),
    ] = "onnxruntime",
    threads: Annotated[
        int | None, typer.Option(help="Threads. [default: the usable cores here, one on each agent]", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let a network that was trained on a text write one, byte by byte.

    The context is computed anew for each byte. The same seed gives the same text from the same weights, on any number of
    boards. Bytes that are no UTF-8, and characters that a terminal would act on, are written out.
    """
    shown = ShownText()

    def told(byte: int) -> None:
        sys.stdout.write(shown.add(bytes([byte])))
        sys.stdout.flush()

    with spelled_as_options(), RunProgress("sampling") as progress:
        found = text_entry_point.sample(
            path,
            prompt=prompt,
            count=count,
            temperature=temperature,
            seed=seed,
            boards=boards,
            cluster=cluster,
            runtime=runtime,
            threads=threads,
            told=None if json else told,
            progress=progress,
        )
    if json:
        drawn = {"temperature": temperature, "seed": seed, "bytes": count}
        print_json({"path": str(path), "text": found.text, **drawn, "sampled_hex": found.sampled.hex()})
    else:
        typer.echo(shown.add(b"", final=True))
