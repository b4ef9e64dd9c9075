"""The bundle: a folder with manifest.json and, for each block, graphs, initial state and golden vectors.

manifest.json              everything in spec.Manifest, with the SHA-256 of every other file
block0/forward.onnx        (state subset, x) -> a            evaluation mode
block0/feedback.onnx       (state subset, y) -> beta         where the rule has a feedback head
block0/step.onnx           (state, x, y, scalars) -> (state.next, a, metrics)
block0/state.safetensors   the state a run starts from
block0/constants.safetensors  what is frozen in it, as the graphs hold it, where something is; boards need it not
block0/forward_int8.onnx   x -> a                            int8 with frozen weights, where the bundle was quantised
block0/golden.safetensors  inputs and expected outputs of a few consecutive steps from that state
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll.kernel.bundle.files import check_file, check_names, inside, read_file
from edgebll.kernel.bundle.graph_check import check_graph
from edgebll.kernel.bundle.graph_costs import FLOPS, PEAK_BYTES, noted_cost
from edgebll.kernel.bundle.writer import MANIFEST, bundle_writer
from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.file_entry import MAX_FILE_BYTES, FileEntry
from edgebll.kernel.spec.manifest import FORMAT_VERSION, BlockSpec, Manifest
from edgebll.kernel.state.block_state import Array, State, parse_tensors, save_tensors
from edgebll.kernel.support.atomic_files import read_capped, sha256_file, storage_errors, write_json
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, short, to_plain

#: File of a block's frozen tensors.
CONSTANTS = "constants.safetensors"
#: A manifest travels inside one message, and every value in it takes many times the memory of its text.
MAX_MANIFEST_BYTES, MAX_MANIFEST_VALUES = 2 << 20, 1 << 17
MAX_GRAPH_BYTES = 1 << 30
#: Fields of a manifest that are left out where they are empty: releases before them read those bundles.
_LEFT_OUT = ("task", "recompute")


def parse_manifest(text: bytes | str, where: str) -> Manifest:
    """Read manifest.json's content.

    Raises:
        BundleError: too large, not JSON, another format version, a missing, unknown or wrong field, or an unsafe file name.
    """
    _check_extent(text, where)
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not JSON ({error}); export the bundle again") from error
    version = document.get("format_version") if isinstance(document, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise BundleError(
            f"{where} has format version {short(version)}, this edgebll reads {FORMAT_VERSION}; "
            "export the bundle again or use the release that wrote it"
        )
    try:
        manifest = from_plain(Manifest, document, where)
    except PlainError as error:
        raise BundleError(f"{error}; export the bundle again") from error
    check_names((MANIFEST, *manifest.files), where)
    return manifest


def _check_extent(text: bytes | str, where: str) -> None:
    if len(text) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{where} has more than the {MAX_MANIFEST_BYTES} bytes a manifest may have; export the bundle again")
    content = text.encode("utf-8", "replace") if isinstance(text, str) else text
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MAX_MANIFEST_VALUES:
        raise BundleError(
            f"{where} has more than the {MAX_MANIFEST_VALUES} values a manifest may have; export the bundle again"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; build it with `open_bundle`. It can be given wherever the path of a bundle is taken.

    Its manifest.json is kept as it was when it was opened.
    """

    path: Path
    manifest: Manifest
    manifest_bytes: bytes = field(repr=False)

    @property
    def manifest_sha256(self) -> str:
        """Tells bundles apart, as 64 hex digits."""
        return hashlib.sha256(self.manifest_bytes).hexdigest()

    def __fspath__(self) -> str:
        return str(self.path)

    def graph(self, block: str, name: str) -> bytes:
        """ONNX file content of a block's graph "forward", "feedback", "step" or, in a quantised bundle, INT8_GRAPH."""
        content = self._content(f"{block}/{name}.onnx", MAX_GRAPH_BYTES)
        check_graph(content, f"{self.path}/{block}/{name}.onnx")
        return content

    def peak_bytes(self, block: str, name: str) -> int | None:
        """Bytes of all results that are alive at once while a graph is computed; None in a bundle of an earlier release."""
        return noted_cost(self._content(f"{block}/{name}.onnx", MAX_GRAPH_BYTES), PEAK_BYTES)

    def flops(self, block: str, name: str) -> int | None:
        """Operations on numbers that a graph takes; None in a bundle of an earlier release."""
        return noted_cost(self._content(f"{block}/{name}.onnx", MAX_GRAPH_BYTES), FLOPS)

    def state(self, block: str) -> dict[str, Array]:
        """A block's starting state, checked against its specs."""
        state = self._tensors(f"{block}/state.safetensors")
        check_state(self.manifest.block(block), state, f"{self.path}/{block}/state.safetensors")
        return state

    def constants(self, block: str) -> dict[str, Array]:
        """What is frozen in a block, by names as the state's: its graphs hold it, and no step changes it."""
        name = f"{block}/{CONSTANTS}"
        return self._tensors(name) if name in self.manifest.files else {}

    def golden(self, block: str) -> dict[str, Array]:
        """A block's golden vectors: inputs and expected outputs of consecutive steps from the starting state.

        For step i: "i/x", "i/y", "i/<scalar>", "i/a", "i/metrics", what is received and sent "i/<name>"; the state after it:
        "i/next/<tensor>", after the last step "final/<tensor>"; and with that final state "forward/x", "forward/a" and, where
        there is a feedback head, "feedback/y", "feedback/beta". Of every result: "rounding/<its name>", how far rounding moves
        it (peak and mean). Bundles of early versions have neither "i/next/" nor "rounding/".
        """
        return self._tensors(f"{block}/golden.safetensors")

    def _tensors(self, name: str) -> dict[str, Array]:
        return parse_tensors(self._content(name, MAX_FILE_BYTES), f"{self.path}/{name}")

    def _content(self, name: str, cap: int) -> bytes:
        entry = self.manifest.files.get(name)
        if entry is None:
            raise BundleError(f"{self.path} has no {name}; export the bundle again")
        return read_file(self.path, name, entry, cap)


def check_state(block: BlockSpec, state: State, where: str) -> None:
    """Raise BundleError unless `state` has exactly the block's tensors with their dtypes and shapes."""
    expected = {tensor.name: tensor for tensor in block.state}
    if set(expected) != set(state):
        odd = min(set(expected) ^ set(state))
        raise BundleError(f"{where}: the tensor {odd!r} is {'missing' if odd in expected else 'not expected'}; export again")
    for name, tensor in expected.items():
        tensor.check(state[name], where)


def open_bundle(path: Path | str, *, verify: bool = True) -> Bundle:
    """Open a bundle folder.

    Args:
        path: the folder.
        verify: also compare every file with its SHA-256.

    Raises:
        BundleError: missing folder or file, wrong hash, unknown version, malformed manifest.

    Examples:
        >>> import edgebll
        >>> bundle = edgebll.open_bundle("bundle")
        >>> bundle.manifest.batch_size, bundle.manifest.rule["name"]
        (16, 'bll')
    """
    folder = Path(path)
    file = folder / MANIFEST
    try:
        text = read_capped(inside(folder, MANIFEST), MAX_MANIFEST_BYTES)
    except OSError as error:
        raise BundleError(
            f"{folder} is not a bundle: {MANIFEST} cannot be read ({error.strerror}); make one with `edgebll export`"
        ) from error
    except BundleError:
        raise
    except ValueError as error:
        raise BundleError(f"{folder} is not a bundle: {error}; export the bundle again") from error
    manifest = parse_manifest(text, str(file))
    if verify:
        for name, entry in manifest.files.items():
            check_file(folder, name, entry)
    return Bundle(folder, manifest, text)


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Hash every file below `folder` and write manifest.json; return the manifest with its files filled in."""
    with storage_errors(folder):
        names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
        files = {name: FileEntry(sha256_file(folder / name), (folder / name).stat().st_size) for name in names}
    manifest = replace(manifest, files=files)
    write_json(folder / MANIFEST, {key: value for key, value in to_plain(manifest).items() if value or key not in _LEFT_OUT})
    return manifest


def write_updated(source: Bundle, states: Mapping[str, State], path: Path | str, provenance: Mapping[str, Any]) -> None:
    """Write a bundle like `source` with other states, e.g. those a run ended with; it has no golden vectors.

    Args:
        source: where the graphs come from.
        states: block name -> state; every block of the bundle.
        path: the new folder.
        provenance: entries added to the manifest's recipe, e.g. which run made the states.
    """
    with bundle_writer(path) as folder:
        for block in source.manifest.blocks:
            check_state(block, states[block.name], block.name)
            with storage_errors(folder):
                (folder / block.name).mkdir()
                for graph in block.graphs:
                    (folder / block.name / f"{graph}.onnx").write_bytes(source.graph(block.name, graph))
            save_tensors(folder / block.name / "state.safetensors", states[block.name])
            constants = source.constants(block.name)
            if constants:
                save_tensors(folder / block.name / CONSTANTS, constants)
        recipe = {**source.manifest.recipe, **provenance}
        write_manifest(folder, replace(source.manifest, golden_steps=0, recipe=recipe))
