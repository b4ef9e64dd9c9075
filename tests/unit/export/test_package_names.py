"""The names that `edgebll_export` gives are imported when asked for, and are what they are called."""

from __future__ import annotations

import subprocess
import sys

import pytest

import edgebll_export


def test_every_name_is_there() -> None:
    for name in edgebll_export.__all__:
        assert getattr(edgebll_export, name).__class__.__name__ != "module"
    with pytest.raises(AttributeError, match="module 'edgebll_export' has no attribute 'lower'"):
        getattr(edgebll_export, "lower")  # noqa: B009


@pytest.mark.parametrize(
    "before", ["import edgebll_export.lowering.softmax", "from edgebll_export import export_bundle", "pass"]
)
def test_lowering_is_the_function_whatever_was_imported_before(before: str) -> None:
    code = f"{before}\nfrom edgebll_export import lowering\nassert lowering.__module__ == 'edgebll_export.lowering_registry'"
    subprocess.run([sys.executable, "-c", code], check=True)
