"""Runs that were made by a recipe before it was changed: never taken for what it says now, nor replaced."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.own_files import write_images
from support.recipes import write_recipe

from edgebll.kernel.errors import ConfigError
from edgebll.learning.reproduce.cells import Cell, cells_of
from edgebll.learning.reproduce.one_run import DONE, Clock, run_cell, state_of
from edgebll.learning.reproduce.recipe_file import read_recipe

UNLIMITED = Clock(0.0)
#: The task of a setting, as it may be changed.
TASK = 'data = "digits", task = "classification", task_options = { class_weights = [1, 1, 1, 1, 1, 1, 1, 1, 1, 3] }'


def cells(folder: Path, *changes: tuple[str, str]) -> list[Cell]:
    return cells_of(read_recipe(str(write_recipe(folder, *changes))), "small")


def test_a_run_of_another_recipe_is_neither_used_nor_replaced(tmp_path: Path) -> None:
    run_cell(cells(tmp_path)[1], tmp_path, UNLIMITED, say=lambda _: None)
    other = cells(tmp_path, ("match = 2.0", "match = 3.0"))[1]
    with pytest.raises(ConfigError, match=r"holds a run with rule_options .*2\.0.*, but the recipe now says .*3\.0"):
        run_cell(other, tmp_path, UNLIMITED)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (TASK, TASK.replace("3]", "4]"), r"holds a run with task_options .*3\.0\).*, but the recipe now says .*4\.0\)"),
        (TASK, 'data = "digits"', "holds a run with task 'classification', but the recipe now says nothing of it"),
        ('data = "digits"', TASK, r"holds a run with task_options \{'class_weights': \(\).*, but the recipe now says .*3\.0\)"),
    ],
)
def test_a_run_for_another_task_is_not_taken_for_this_one(tmp_path: Path, before: str, after: str, message: str) -> None:
    cell = cells(tmp_path, ('data = "digits"', before))[0]
    run_cell(cell, tmp_path, UNLIMITED, say=lambda _: None)
    assert state_of(cell, tmp_path) == DONE
    with pytest.raises(ConfigError, match=message):
        state_of(cells(tmp_path, ('data = "digits"', after))[0], tmp_path)


def test_an_option_of_the_data_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    """What the run found out about its data, such as their mean, is no such option."""
    file = tmp_path / "own.npz"
    np.savez(file, x=np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32), y=np.arange(500) % 3)

    def cell(options: str) -> Cell:
        told = f'data = "{file}", data_options = {{ {options} }}'
        return cells(tmp_path, ('data = "digits"', told), ("limit = 320", "limit = 64"))[0]

    first = cell('test = 0.4, normalize = "yes"')
    run_cell(first, tmp_path, UNLIMITED, say=lambda _: None)
    assert [state_of(one, tmp_path) for one in (first, cell('normalize = "yes", test = 0.4'))] == [DONE, DONE]
    for changed in ('normalize = "yes"', 'test = 0.3, normalize = "yes"'):
        with pytest.raises(ConfigError, match=r"holds a run with data_options .*, but the recipe now says"):
            state_of(cell(changed), tmp_path)


def test_what_was_found_out_of_images_is_no_change(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "images", height=8, width=8)
    told = f'data = "{folder}", data_options = {{ test = 0.4 }}'
    cell = cells(
        tmp_path, ('data = "digits"', told), ("batch_size = 32, lr = 0.02, limit", "batch_size = 8, lr = 0.02, limit")
    )[0]
    run_cell(cell, tmp_path, UNLIMITED, say=lambda _: None)
    assert state_of(cell, tmp_path) == DONE


def test_a_task_that_the_data_suggest_is_the_same_by_its_name(tmp_path: Path) -> None:
    """A run of a release that did not say whether its task was named counts as one for the task of the recipe."""
    plain, named = (cells(tmp_path, ('data = "digits"', text))[0] for text in ('data = "digits"', TASK.split(", task_opt")[0]))
    run_cell(plain, tmp_path, UNLIMITED, say=lambda _: None)
    assert [state_of(cell, tmp_path) for cell in (plain, named)] == [DONE, DONE]
    path = tmp_path / plain.folder / "run.json"
    config = json.loads(path.read_text())
    assert config.pop("task_named") is False
    path.write_text(json.dumps(config))
    assert [state_of(cell, tmp_path) for cell in (plain, named)] == [DONE, DONE]
