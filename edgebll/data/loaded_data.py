"""What a run has of its data: both parts, and how they are found and prepared again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from edgebll.data.dataset import Dataset


@dataclass(frozen=True)
class LoadedData:
    """A data set that was loaded for a run.

    Attributes:
        train: training data.
        test: data of evaluations.
        name: by which they are found again: that of a data set, or an absolute path.
        options: how own data are prepared, with all that was found out; empty for others.
    """

    train: Dataset
    test: Dataset
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def splits(self) -> tuple[Dataset, Dataset]:
        """Both parts."""
        return self.train, self.test
