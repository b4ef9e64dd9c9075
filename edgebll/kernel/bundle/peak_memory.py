"""What a graph's file says of the memory that computing it takes: bytes of all results that are alive at once, at the most.

The export knows the shapes of results between operators, boards and hosts do not; so it writes the number into the file's
metadata, which is there for such things and which runtimes pass over.
"""

from __future__ import annotations

from edgebll.kernel.bundle.protobuf import fields
from edgebll.kernel.errors import BundleError

#: The entry of an ONNX file's metadata_props.
PEAK_BYTES = "edgebll.peak_bytes"
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_MAX_DIGITS = 15


def peak_bytes(content: bytes) -> int | None:
    """Bytes by an ONNX file's metadata; None where it does not tell, as files of earlier releases.

    Raises:
        BundleError: it is no ONNX file.
    """
    for number, _, value in fields(memoryview(content)):
        if number == _METADATA_PROPS and isinstance(value, memoryview):
            entry = {key: text for key, _, text in fields(value) if isinstance(text, memoryview)}
            if bytes(entry.get(_KEY, b"")) == PEAK_BYTES.encode():
                digits = bytes(entry.get(_VALUE, b""))
                if not digits.isdigit() or len(digits) > _MAX_DIGITS:
                    raise BundleError(f"its {PEAK_BYTES} is not a number of bytes; export the bundle again")
                return int(digits)
    return None
