"""What a bundle's graph must not have, whatever runtime reads it: data in other files, and operators that are not ONNX's own.

ONNX Runtime and TensorRT would open the files that a graph names, and operators of other domains may name files too. So every
graph is looked through before a runtime sees it, without the onnx package. The field numbers are those of onnx.proto.
"""

from __future__ import annotations

from collections.abc import Mapping

from edgebll.kernel.bundle.protobuf import fields
from edgebll.kernel.errors import BundleError

#: Fields of one file; the largest graph edgebll exports has some ten thousand.
MAX_FIELDS = 1 << 22
#: Graphs within graphs, as Scan has them.
_MAX_DEPTH = 16
_ORT_FORMAT = b"ORTM"  # at byte 4: ONNX Runtime's own format, which it tells apart by these letters
_DOMAINS = (b"", b"ai.onnx")

# message -> field number -> what is there: another message, "domain", or what is refused.
_MODEL: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "!training graphs", 25: "!functions"},
    "opset": {1: "domain"},
    "graph": {1: "node", 5: "tensor", 15: "!sparse constants"},
    "node": {5: "attribute", 7: "domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "!sparse constants", 23: "!sparse constants"},
    "tensor": {13: "!data in another file", 14: "location"},
}


def check_graph(content: bytes, where: str) -> None:
    """Look through an ONNX file.

    Args:
        content: of the file.
        where: names it in errors.

    Raises:
        BundleError: it is no ONNX file, keeps data outside itself, has operators of other domains, functions, training graphs
            or sparse constants, or more than MAX_FIELDS fields.
    """
    if content[4:8] == _ORT_FORMAT:
        raise BundleError(f"{where} is in ONNX Runtime's own format, not ONNX; export the bundle again")
    try:
        _Walk().message(memoryview(content), "model", 0)
    except BundleError as error:
        raise BundleError(f"{where}: {error}; export the bundle again") from error


class _Walk:
    """Counts the fields of one file."""

    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def message(self, data: memoryview, kind: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise BundleError(f"graphs are nested more than {_MAX_DEPTH} deep")
        known = _MODEL[kind]
        for number, _, value in fields(data):
            self._left -= 1
            if self._left < 0:
                raise BundleError(f"there are more than {MAX_FIELDS} fields")
            what = known.get(number)
            if what is not None:
                self._take(what, value, depth)

    def _take(self, what: str, value: memoryview | int, depth: int) -> None:
        if what.startswith("!"):
            raise BundleError(f"a bundle's graph must not have {what[1:]}")
        if what == "location":
            if value != 0:
                raise BundleError("a bundle's graph must not have data in another file")
        elif isinstance(value, int):
            raise BundleError("it is not an ONNX file")
        elif what == "domain":
            if bytes(value) not in _DOMAINS:
                raise BundleError(f"a bundle's graph must use ONNX's own operators alone, not the domain {bytes(value[:40])!r}")
        else:
            self.message(value, what, depth + (what == "graph"))
