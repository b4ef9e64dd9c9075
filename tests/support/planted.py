"""Bundles whose training steps are wrong: written by the real exporter with gradients off by a factor."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from torch import Tensor

from edgebll.kernel.bundle import bundle_writer, open_bundle, write_manifest
from edgebll.learning import Optimizer, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export.bundles.block_models import block_models


def plant(sound: Path, planted: Path, network: BlockNetwork, rule: str, optimizer: Optimizer, factor: float) -> set[str]:
    """Write a bundle like `sound` but for step graphs in which every gradient is multiplied by `factor`.

    Without gradient clipping no parameter's update depends on another's gradient: what becomes of a parameter and its moments
    in such a graph is what it would be if its gradient alone were wrong.

    Returns:
        The parameters, as "block0/net.weight".
    """
    bundle = open_bundle(sound)
    manifest = bundle.manifest
    steps = make_steps(network, make_rule(rule), optimizer, manifest.batch_size, manifest.precision)
    parameters: set[str] = set()
    with bundle_writer(planted) as folder:
        shutil.copytree(sound, folder, dirs_exist_ok=True)
        for step in steps:
            with gradients_times(optimizer, factor) as names:
                model = block_models(step).models["step"]
            (folder / step.name / "step.onnx").write_bytes(model.SerializeToString())
            parameters |= {f"{step.name}/{name}" for name in names}
        write_manifest(folder, manifest)
    return parameters


@contextlib.contextmanager
def gradients_times(optimizer: Optimizer, factor: float) -> Iterator[set[str]]:
    """While open, optimisers of this kind take every gradient times a factor; gives the names of those they took."""
    kind, names = type(optimizer), set[str]()
    update = kind.update

    def wrong(self: Optimizer, before: dict[str, Tensor], gradients: dict[str, Tensor], *others: Any) -> dict[str, Tensor]:
        names.update(gradients)
        return update(self, before, {name: value * factor for name, value in gradients.items()}, *others)

    with mock.patch.object(kind, "update", wrong):
        yield names


def of_parameter(tensor: str) -> str:
    """The parameter that a state tensor belongs to: its moments are named after it."""
    return tensor.removeprefix("momentum.").removeprefix("moment1.").removeprefix("moment2.")
