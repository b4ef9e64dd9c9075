"""Tasks by name: what a sample, a target and a loss are. No torch: hosts and boards evaluate with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.own_code.registry import Registry
from edgebll.kernel.support.plain_dataclasses import PlainError
from edgebll.kernel.tasks.class_task import ClassTask
from edgebll.kernel.tasks.classification import Classification, check_classes
from edgebll.kernel.tasks.label_spec import LabelSpec, Shape
from edgebll.kernel.tasks.multilabel import MultiLabel
from edgebll.kernel.tasks.next_byte import NextByte
from edgebll.kernel.tasks.reconstruction import Reconstruction
from edgebll.kernel.tasks.regression import Regression
from edgebll.kernel.tasks.segmentation import Segmentation
from edgebll.kernel.tasks.task import HIGHER, LOWER, Task

__all__ = [
    "CLASSIFICATION",
    "HIGHER",
    "LOWER",
    "TASKS",
    "TASK_REGISTRY",
    "ClassTask",
    "Classification",
    "LabelSpec",
    "MultiLabel",
    "NextByte",
    "Reconstruction",
    "Regression",
    "Segmentation",
    "Shape",
    "Task",
    "check_classes",
    "make_task",
    "task_of_record",
    "task_record",
]

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Classification, MultiLabel, Regression, Segmentation, Reconstruction, NextByte)
}
TASK_REGISTRY = Registry("task", TASKS, Task)
#: Of what does not say which task it is for: all bundles and runs of releases that knew no other.
CLASSIFICATION = Classification()


def make_task(name: str, **options: Any) -> Task:
    """Build a task by name; a text option is converted to its field's type ("0.5" to 0.5).

    Args:
        name: one of TASKS, or FILE.py:NAME or MODULE:NAME of one of your own.
        **options: of the task, by name.

    Raises:
        ConfigError: unknown task or option, a value the task refuses, or code that cannot be imported.

    Examples:
        >>> import edgebll
        >>> edgebll.make_task("regression", loss_kind="huber", delta="0.5").delta
        0.5
    """
    return TASK_REGISTRY.make(name, options)


def task_record(task: Task) -> dict[str, Any]:
    """What a manifest says of a task: its name and options, and where its code is if it is a user's own."""
    return {} if task == CLASSIFICATION else {**TASK_REGISTRY.record(task, task.name), "options": task.options()}


def task_of_record(record: Mapping[str, Any], where: str) -> Task:
    """The task that a manifest or run.json tells of; classification where it says nothing.

    Args:
        record: of `task_record`.
        where: of the file, for messages.

    Raises:
        BundleError: it is none, or one that cannot be made here, e.g. because its file is missing or has changed.
    """
    if not record:
        return CLASSIFICATION
    name, options = record.get("name"), record.get("options", {})
    if record.keys() - {"name", "options", "code"} or not isinstance(name, str) or not isinstance(options, dict):
        raise BundleError(f"{where}: the task must be a name and options; export the bundle again")
    try:
        return TASK_REGISTRY.recall(name, options, record.get("code"), where)
    except (ConfigError, PlainError) as error:
        raise BundleError(f"{where} is for a task that cannot be made here: {error}") from error
