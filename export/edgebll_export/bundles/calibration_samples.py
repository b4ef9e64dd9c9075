"""The samples that int8 scales are chosen by, checked and in whole batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.state.block_state import Array


def batches_for(bundle: Bundle, samples: Mapping[str, Array]) -> list[Mapping[str, Array]]:
    """Samples in batches of a bundle's size; what is over whole batches is left out.

    Args:
        bundle: takes them.
        samples: "x", and each side input by name, (N, ...).

    Raises:
        DataError: an input is missing or too many, or of another shape or dtype, or there are not as many of each.
        ConfigError: they fill no batch.
    """
    first, size = replace(bundle.manifest.blocks[0].input, shape=bundle.manifest.input_shape), bundle.manifest.batch_size
    specs = [first, *of_a_sample(bundle.manifest.blocks)]
    if samples.keys() != {spec.name for spec in specs} or len({len(values) for values in samples.values()}) != 1:
        names = (", ".join(each) for each in ((spec.name for spec in specs), samples))
        raise DataError("{} takes {} of each sample, not {}, or not as many of each".format(bundle.path, *names))
    for spec in specs:
        _check(bundle, spec, samples[spec.name])
    total = len(samples[first.name])
    if total < size:
        raise ConfigError(f"calibration needs at least one batch of {size} samples, but got {total}")
    starts = range(0, total - size + 1, size)
    return [{name: values[start : start + size] for name, values in samples.items()} for start in starts]


def _check(bundle: Bundle, spec: TensorSpec, values: Array) -> None:
    shape, dtype = values.shape[1:], values.dtype.name
    if (shape, dtype) != (spec.shape, spec.dtype):
        what = "samples" if spec.name == bundle.manifest.blocks[0].input.name else spec.name
        raise DataError(
            f"{bundle.path} takes {spec.dtype} {what} of shape {spec.shape}, not {dtype} of shape {shape} to calibrate on"
        )
