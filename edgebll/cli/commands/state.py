"""`edgebll state`: trained weights as a file that PyTorch loads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import TrainedArgument
from edgebll.cli.output import JsonOption, print_json, say
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.optional_imports import import_torch


def state(
    path: TrainedArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, NAME.safetensors; an earlier one is replaced.")],
    json: JsonOption = False,
) -> None:
    """Write trained weights under the keys of the network's own module, for `load_state_dict(strict=True)`.

    Auxiliary networks, feedback heads and what optimisers remember stay behind: they belong to the training.
    """
    if out.suffix != ".safetensors":
        raise ConfigError(f"--out must name a file that ends in .safetensors, not {out.name!r}")
    import_torch("train", "writing the weights of a module")
    from edgebll.kernel.state.block_state import save_tensors
    from edgebll.learning.training.module_state import module_state, plain_state
    from edgebll.learning.training.trained_network import open_trained

    trained = open_trained(path)
    if trained.without:
        raise ConfigError(trained.without)
    if trained.network is None:
        say(
            f"edgebll: the code of the network {trained.name!r} is not known here; its tensors keep the names they have in the "
            "blocks, and what no step reads, such as counters of batch norms, is not there"
        )
    if trained.network is None:
        found = plain_state({block.name: trained.weights(block.name) for block in trained.blocks})
    else:
        found = module_state(trained, trained.network)
    save_tensors(out, {name: value.numpy() for name, value in found.items()})
    size = sum(value.nbytes for value in found.values())
    if json:
        shared = {"path": str(path), "file": str(out), "network": trained.name, "state_sha256": trained.state_sha256}
        print_json({**shared, "strict": trained.network is not None, "bytes": size, "keys": list(found)})
        return
    typer.echo(f"{out}: {len(found)} tensors of {trained.name}, {size / 1024:.1f} KiB")
