"""What a graph's file says of what computing it takes: memory, and arithmetic.

The export knows the shapes of results between operators, boards and hosts do not; so it writes the numbers into the file's
metadata, which is there for such things and which runtimes pass over.
"""

from __future__ import annotations

from edgebll.kernel.bundle.protobuf import fields
from edgebll.kernel.errors import BundleError

#: Entries of an ONNX file's metadata_props: bytes of all results that are alive at once, at the most; operations on numbers, of
#: which a multiplication and its addition are two.
PEAK_BYTES, FLOPS = "edgebll.peak_bytes", "edgebll.flops"
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_MAX_DIGITS = 15


def noted_cost(content: bytes, name: str) -> int | None:
    """A number of an ONNX file's metadata; None where it does not tell, as files of earlier releases.

    Args:
        content: of the file.
        name: PEAK_BYTES or FLOPS.

    Raises:
        BundleError: it is no ONNX file.
    """
    for number, _, value in fields(memoryview(content)):
        if number == _METADATA_PROPS and isinstance(value, memoryview):
            entry = {key: text for key, _, text in fields(value) if isinstance(text, memoryview)}
            if bytes(entry.get(_KEY, b"")) == name.encode():
                digits = bytes(entry.get(_VALUE, b""))
                if not digits.isdigit() or len(digits) > _MAX_DIGITS:
                    raise BundleError(f"its {name} is not a number; export the bundle again")
                return int(digits)
    return None
