"""The pages on formats have the fields, types, defaults and numbers of the code: whoever follows them writes what we read."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from typing import Any

import pytest
from support.documents import Document

from edgebll.kernel.bundle import MAX_MANIFEST_BYTES
from edgebll.kernel.own_code import CodeOrigin
from edgebll.kernel.spec import manifest
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.wire import MAX_PROGRESS_CHARS, MESSAGE_TYPES, PROTOCOL_VERSION, OfRun, codec
from edgebll.kernel.wire.check_messages import MAX_ADDRESSES, MAX_NEIGHBOURS, MAX_PROBE_BYTES, MAX_PROBE_S
from edgebll.kernel.wire.spike_coding import MIN_ELEMENTS
from edgebll.kernel.wire.tensor_parts import MAX_EVENT_TENSOR_BYTES, MAX_MESSAGE_BYTES, MAX_TENSORS
from edgebll_firmware_host.fleet.file_transfer import PIECE_BYTES
from edgebll_firmware_host.run_files import snapshot_store

BUNDLE, WIRE, SNAPSHOTS = (Document(f"docs/reference/{name}.md").text for name in ("bundle", "wire", "snapshots"))
PLAIN = {str: "str", int: "int", float: "float", bool: "bool", bytes: "bytes"}
WORDS = {None: "null", False: "false", True: "true"}
Row = tuple[str, str]


def table(page: str, heading: str) -> list[Row]:
    """Name and type of each row of the table under a heading."""
    section = page.split(f"\n### {heading}\n")[1].split("\n### ")[0].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)


def fields(cls: Any, without: tuple[str, ...] = ()) -> list[Row]:
    hints = typing.get_type_hints(cls)
    return [(f.name, said(hints[f.name]) + default(f)) for f in dataclasses.fields(cls) if f.name not in without]


def said(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return f"{said(arguments[0])} or null"
    if origin is tuple:
        return f"list of {said(arguments[0])}"
    if origin is dict:
        return "table" if arguments[1] is Any else f"table of {said(arguments[1])}"
    return PLAIN.get(hint) or str(hint.__name__)


def default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING or field.default == ():
        return ", default empty"
    if field.default is dataclasses.MISSING:
        return ""
    if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
        return f", default {field.default:g}"
    return f', default `"{field.default}"`' if isinstance(field.default, str) else f", default {WORDS[field.default]}"


@pytest.mark.parametrize("cls", [manifest.Manifest, manifest.BlockSpec, manifest.TensorSpec, EdgeSpec, FileEntry, CodeOrigin])
def test_the_bundle_page_has_the_manifests_fields(cls: type) -> None:
    assert table(BUNDLE, cls.__name__) == fields(cls)


@pytest.mark.parametrize("cls", [snapshot_store.Contents, snapshot_store.RecordedProgress])
def test_the_snapshot_page_has_the_fields_of_its_contents(cls: type) -> None:
    assert table(SNAPSHOTS, cls.__name__) == fields(cls)


@pytest.mark.parametrize("number", MESSAGE_TYPES)
def test_the_wire_page_has_the_fields_of_a_message(number: int) -> None:
    cls = MESSAGE_TYPES[number]
    heading = f"{number} {cls.__name__}"
    assert table(WIRE, heading) == fields(cls, without=("tensors", "run", "incarnation"))
    section = WIRE.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    assert ("Of a run" in section) == issubclass(cls, OfRun)


def test_the_wire_page_has_no_other_message() -> None:
    named = re.findall(r"^### (\d+) (\w+)$", WIRE, re.MULTILINE)
    assert named == [(str(number), cls.__name__) for number, cls in MESSAGE_TYPES.items()]


@pytest.mark.parametrize(
    ("page", "phrase"),
    [
        (WIRE, f"Protocol version {PROTOCOL_VERSION}."),
        (
            WIRE,
            f"{codec.MAX_HEADER_BYTES >> 20} MiB a header, {codec.MAX_TEXT_BYTES >> 10} KiB a text, {MAX_TENSORS} items",
        ),
        (
            WIRE,
            f"{codec.MAX_ITEMS:,} items in all of them, {MAX_TENSORS} tensors, {MAX_MESSAGE_BYTES >> 30} GiB of",
        ),
        (WIRE, f"of {MIN_ELEMENTS} elements and more"),
        (WIRE, f"at most {MAX_EVENT_TENSOR_BYTES >> 20} MiB in all"),
        (WIRE, f"at most {MAX_PROGRESS_CHARS} characters"),
        (WIRE, f"at most {MAX_PROBE_BYTES >> 20} MiB |"),
        (WIRE, f"| list of Neighbour | at most {MAX_NEIGHBOURS} |"),
        (WIRE, f"for each endpoint, at most {MAX_PROBE_S:g} |"),
        (WIRE, f"list of at most {MAX_ADDRESSES}, to be tried"),
        (WIRE, f"at most {PIECE_BYTES >> 10} KiB |"),
        (BUNDLE, f"Format version {manifest.FORMAT_VERSION}."),
        (BUNDLE, f"at most {MAX_MANIFEST_BYTES >> 20} MiB and"),
        (BUNDLE, ", ".join(f"`{name}`" for name in manifest.DTYPES[:-1]) + f" or `{manifest.DTYPES[-1]}`"),
        (BUNDLE, f"at most {manifest.MAX_RANK} sizes of 0 or more; at most {manifest.MAX_TENSOR_BYTES >> 30} GiB"),
        (BUNDLE, f"1 to {manifest.MAX_BLOCKS} |"),
        (BUNDLE, f"at most {manifest.MAX_EDGES} |"),
        (SNAPSHOTS, f"Format {snapshot_store._FORMAT}."),
    ],
)
def test_a_number_is_that_of_the_code(page: str, phrase: str) -> None:
    assert phrase in " ".join(page.split())
