"""The options of a run that decide what is learnt, by their content: not where files lie, and not by what it is computed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Entries of run.json that do not say what is learnt: who wrote it, where and by what it is computed, how often it is saved.
NOT_LEARNT = frozenset(
    (
        *(
            "edgebll",
            "run_version",
            "run",
            "seed",
            "bundle",
            "manifest_sha256",
            "data_dir",
            "num_classes",
            "input_shape",
            "outputs",
            "task_named",
            "side_inputs",
        ),
        *(
            "threads",
            "checkpoint_steps",
            "evaluate_epochs",
            "device",
            "compile",
            "channels_last",
            "cap_threads",
            "memory_check",
        ),
        *("boards", "microcontrollers", "emulate", "cluster", "window", "runtime", "deadline", "patience", "measure"),
        *("snapshot_every", "snapshot_seconds", "keep_snapshots"),
    )
)
#: Entries of a bundle's manifest that do.
_OF_MANIFEST = ("network", "rule", "optimizer", "batch_size", "precision")
_SHOWN = 12


def learnt_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run.json says of what is learnt; files by what is in them.

    Args:
        config: content of a run.json, of a run of the trainer or over boards.

    Returns:
        The options, those of rules, networks and optimisers as "rule.match".
    """
    told = {name: value for name, value in config.items() if name not in NOT_LEARNT}
    return flattened({**told, **_weights(told), **_data(told), **_sampling(told), **_code(told)})


def manifest_options(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest of a bundle says of what is learnt, named as in `learnt_options`.

    Args:
        manifest: its content.
    """
    told = {name: manifest[name] for name in _OF_MANIFEST if name in manifest}
    for name, value in told.items():
        if isinstance(value, dict) and "code" in value:
            told[name] = {**value, "code": _content(value["code"])}
    return flattened(told)


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of options by "owner.name": {"rule": "bll", "rule_options": {"match": 1}} as {"rule": "bll", "rule.match": 1}.

    Manifests say the same as {"rule": {"name": "bll", "options": {"match": 1}}}. Lists become text.

    Args:
        values: options by name.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        owner = name.removesuffix("_options")
        if isinstance(value, Mapping):
            inner = dict(value)
            if "name" in inner:
                found[owner] = inner.pop("name")
            inner |= inner.pop("options", {})
            found |= {f"{owner}.{key}": one for key, one in flattened(inner).items()}
        else:
            found[name] = json.dumps(value) if isinstance(value, list) else value
    return found


def _weights(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a network began with. Runs over boards have under this name by what blocks were placed, which is not learnt."""
    weights = told.get("weights")
    if not isinstance(weights, dict) or not weights.get("file"):
        return {"weights": {}}
    content = str(weights.get("sha256") or weights["file"])
    return {"weights": {"name": content[:_SHOWN], "left_out": weights.get("left_out", [])}}


def _data(told: Mapping[str, Any]) -> dict[str, Any]:
    """Own data by their name, and the digest of what is in them."""
    data, options = told.get("data"), told.get("data_options")
    if not isinstance(data, str) or not isinstance(options, dict) or not options.get("digest"):
        return {}
    known = {name: value for name, value in options.items() if name != "code"}
    known |= {name: str(known[name])[:_SHOWN] for name in ("digest", "decoded") if name in known}
    return {"data": Path(data).name, "data_options": known}


def _sampling(told: Mapping[str, Any]) -> dict[str, Any]:
    """Own weights of samples, "weights:FILE#SHA-256", by the file's name and what is in it."""
    place, mark, sha256 = str(told.get("sampling", "")).rpartition("#")
    return {"sampling": f"{place.rpartition('/')[2]}#{sha256[:_SHOWN]}"} if mark else {}


def _code(told: Mapping[str, Any]) -> dict[str, Any]:
    """Own networks, rules, optimisers and tasks by their names, and a digest of the files they are made of."""
    code = told.get("code")
    if not isinstance(code, dict):
        return {}
    found: dict[str, Any] = {"code": {what: _content(origin) for what, origin in code.items()}}
    for what, origin in code.items():
        if isinstance(origin, dict) and isinstance(origin.get("reference"), str):
            found[what] = origin["reference"].rpartition("/")[2]
    return found


def _content(origin: Any) -> str:
    """A digest of the files that code is made of, wherever they lie; of an installed package its name and version."""
    files = origin.get("files") if isinstance(origin, dict) else None
    if not isinstance(files, dict) or not files:
        return str(origin.get("package", "")) if isinstance(origin, dict) else ""
    content = sorted((Path(file).name, str(sha256)) for file, sha256 in files.items())
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:_SHOWN]
