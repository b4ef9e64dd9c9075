"""The reference of data sets has every name, and every option of every encoder with its default."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest
from support.documents import Document

from edgebll.data import DATASETS, load_dataset
from edgebll.data.events.spike_options import ENCODERS
from edgebll.data.own.data_options import OwnDataOptions
from edgebll.data.own.event_folder import EventOptions
from edgebll.data.own.spike_trains import TrainOptions

PAGE = Document("docs/reference/data-sets.md").text


def rows(heading: str) -> list[list[str]]:
    """Cells of the first table behind a heading, without its head."""
    table = next(part for part in PAGE.split(heading, 1)[1].split("\n\n") if part.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_data_set_has_its_row() -> None:
    told = {name.strip("`"): shape for name, _, shape, _ in rows("# Data sets")}
    assert tuple(told) == DATASETS
    for name in ("digits", "shapes", "events-digits"):
        assert told[name] == str(load_dataset(name, "test", limit=2).input_shape)


def test_every_option_of_an_encoder_has_its_row() -> None:
    told: dict[tuple[str, str], str] = {}
    for names, encoders, default, _ in rows("## Encoders"):
        for name in re.findall(r"`(\w+)`", names):
            chosen = ENCODERS if encoders in ("all", "") else re.findall(r"`(\w+)`", encoders)
            told |= {(encoder, name): default for encoder in chosen}
    options = {(encoder, field.name): field.default for encoder, kind in ENCODERS.items() for field in fields(kind)}
    assert told.keys() == options.keys()
    for key, default in told.items():
        if re.fullmatch(r"[\d.]+", default):
            assert float(default) == options[key], key


@pytest.mark.parametrize(("heading", "kind"), [("## Event files", EventOptions), ("## Spike trains", TrainOptions)])
def test_every_option_of_events_has_its_row(heading: str, kind: type[OwnDataOptions]) -> None:
    told = {name.strip("`"): default.strip("`") for name, default, _ in rows(heading)}
    ours: dict[str, Any] = {field.name: field.default for field in fields(kind)}
    common = {field.name for field in fields(OwnDataOptions)} | {"decoded"}
    assert told.keys() == ours.keys() - common
    for name, default in told.items():
        if name != "sensor":
            value = {False: "no", True: "yes"}.get(ours[name]) if isinstance(ours[name], bool) else str(ours[name])
            assert value in (default, f"{default}.0"), name
