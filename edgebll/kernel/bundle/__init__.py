"""Bundles: a folder with everything boards need, checked before anything in it is used."""

from edgebll.kernel.bundle.files import check_file, read_file
from edgebll.kernel.bundle.folder import (
    CONSTANTS,
    MAX_MANIFEST_BYTES,
    Bundle,
    check_state,
    open_bundle,
    parse_manifest,
    write_manifest,
    write_updated,
)
from edgebll.kernel.bundle.golden_names import reach_name, state_name
from edgebll.kernel.bundle.graph_signature import INT8_GRAPH
from edgebll.kernel.bundle.writer import MANIFEST, bundle_writer, check_bundle_place

__all__ = [
    "CONSTANTS",
    "INT8_GRAPH",
    "MANIFEST",
    "MAX_MANIFEST_BYTES",
    "Bundle",
    "bundle_writer",
    "check_bundle_place",
    "check_file",
    "check_state",
    "open_bundle",
    "parse_manifest",
    "reach_name",
    "read_file",
    "state_name",
    "write_manifest",
    "write_updated",
]
