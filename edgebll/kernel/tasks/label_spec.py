"""What a data set has as samples and labels, said without the data."""

from __future__ import annotations

from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LabelSpec:
    """What a data set has as samples and labels, from which a task knows what a network must give.

    Attributes:
        where: name of the data set, for messages.
        input_shape: of one sample as a network gets it.
        dtype: of labels, "int64" or "float32"; empty where there are none.
        shape: of one sample's label.
        num_classes: classes that whole labels count; 0 where labels are no classes.
    """

    where: str
    input_shape: Shape
    dtype: str
    shape: Shape
    num_classes: int
