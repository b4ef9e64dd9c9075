"""What a run keeps of its bundle in its folder, and what is said and done if somebody removes that while the run goes on."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from edgebll.cli.output import say
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.runs.run_lock import SUMMARY

if TYPE_CHECKING:
    from edgebll.kernel.runs.run_folder import RunFolder


def kept_for(bundle: Bundle, folder: RunFolder, tell: Callable[[str], None]) -> Bundle:
    """The run's own copy of its bundle, made if need be, and made again with the folder.

    Args:
        bundle: where it came from.
        folder: of the run.
        tell: takes a sentence.

    Raises:
        BundleError: the bundle is not what it was when it was opened. StorageError: the disk refuses.
    """
    from edgebll_firmware_host.run_files.kept_bundle import keep_bundle, kept_bundle

    def told(text: str) -> None:
        tell(text)
        if kept_bundle(folder.path, bundle.manifest_sha256) is None:
            try:
                keep_bundle(bundle, folder.path)
            except EdgebllError as error:
                tell(f"{error}; a failure can be recovered from no more")

    folder.tell = told
    return kept_bundle(folder.path, bundle.manifest_sha256) or keep_bundle(bundle, folder.path)


@contextlib.contextmanager
def hint_on_interrupt(folder: RunFolder) -> Iterator[None]:
    """Say how to go on with a run that is interrupted."""
    from edgebll.kernel.runs.run_folder import read_config
    from edgebll_firmware_host.run_files.snapshot_store import has_snapshot

    try:
        yield
    except KeyboardInterrupt:
        run = folder.path
        with contextlib.suppress(EdgebllError):
            if has_snapshot(run) and not (run / SUMMARY).exists():
                kind = read_config(run)["kind"]
                say(f"edgebll: the run is not whole; go on with `edgebll {kind} --resume {shlex.quote(str(run))}`")
        raise
