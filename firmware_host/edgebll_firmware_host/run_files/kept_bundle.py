"""The bundle a run began with, kept in its folder, so that the run does not depend on what becomes of the bundle.

    RUN/started_from/     graphs, states and manifest.json as they were; no golden vectors. Removed when the run is whole.

It is a copy, no links: a bundle whose files somebody overwrites in place must not change it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from edgebll.kernel.bundle import MANIFEST, Bundle, check_file, open_bundle, read_file
from edgebll.kernel.errors import BundleError, EdgebllError
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.file_entry import MAX_FILE_BYTES
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.scratch_files import scratch_folder, sweep

KEPT_BUNDLE = "started_from"


def keep_bundle(bundle: Bundle, run: Path) -> Bundle:
    """Copy what a run needs of its bundle into its folder; returns the bundle that is there.

    Raises:
        BundleError: the bundle is not what it was when it was opened. StorageError: the disk refuses.
    """
    target = run / KEPT_BUNDLE
    with storage_errors(target):
        sweep(run, KEPT_BUNDLE)
        with scratch_folder(run, KEPT_BUNDLE) as folder:
            (folder / MANIFEST).write_bytes(bundle.manifest_bytes)
            for name in needed(bundle.manifest):
                (folder / name).parent.mkdir(exist_ok=True)
                content = read_file(bundle.path, name, bundle.manifest.files[name], MAX_FILE_BYTES)
                (folder / name).write_bytes(content)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(folder, target)
    return replace(bundle, path=target)


def kept_bundle(run: Path, manifest_sha256: str) -> Bundle | None:
    """The bundle in a run's folder, if it is there, whole and the one with this manifest.json."""
    try:
        bundle = open_bundle(run / KEPT_BUNDLE, verify=False)
        for name in needed(bundle.manifest):
            check_file(bundle.path, name, bundle.manifest.files[name])
    except BundleError:
        return None
    return bundle if bundle.manifest_sha256 == manifest_sha256 else None


def kept_for(bundle: Bundle, folder: RunFolder, tell: Callable[[str], None]) -> Bundle:
    """The run's own copy of its bundle, made if need be, and made again with the folder if somebody removes that.

    Args:
        bundle: where it came from.
        folder: of the run.
        tell: takes a sentence.

    Raises:
        BundleError: the bundle is not what it was when it was opened. StorageError: the disk refuses.
    """

    def told(text: str) -> None:
        tell(text)
        if kept_bundle(folder.path, bundle.manifest_sha256) is None:
            try:
                keep_bundle(bundle, folder.path)
            except EdgebllError as error:
                tell(f"{error}; a failure can be recovered from no more")

    folder.tell = told
    return kept_bundle(folder.path, bundle.manifest_sha256) or keep_bundle(bundle, folder.path)


def forget_bundle(run: Path) -> None:
    """Remove it: the run is whole."""
    shutil.rmtree(run / KEPT_BUNDLE, ignore_errors=True)


def needed(manifest: Manifest) -> Iterable[str]:
    """The files of a bundle that boards and the final bundle are made of."""
    return (name for name in manifest.files if not name.endswith("/golden.safetensors"))
