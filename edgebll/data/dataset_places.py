"""Where the files of each data set are, or why they are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebll.data import DATASETS, find_dataset
from edgebll.data.corpora import CORPORA, corpus_places
from edgebll.data.events.spike_options import SEEN
from edgebll.data.named_data import FILES
from edgebll.data.own.byte_text import PREFIX
from edgebll.kernel.errors import DataError


def dataset_places(data_dir: Path | None = None) -> list[dict[str, Any]]:
    """Every known data set: its name, whether it is here, and where or how to get it."""
    rows: list[dict[str, Any]] = []
    for name in DATASETS:
        found, where = True, "generated"
        source = SEEN.get(name, name)
        if source == "digits":
            found = _importable("sklearn")
            where = "comes with scikit-learn" if found else "pip install 'edgebll[data]'"
        elif source in FILES:
            try:
                where = str(find_dataset(name, data_dir))
            except DataError:
                found, where = False, FILES[source].how
        rows.append({"name": name, "found": found, "where": where})
    for name, corpus in CORPORA.items():
        here = next((place for place in corpus_places(name) if place.is_file()), None)
        rows.append({"name": f"{PREFIX}{name}", "found": here is not None, "where": corpus.how if here is None else str(here)})
    return rows


def _importable(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None
