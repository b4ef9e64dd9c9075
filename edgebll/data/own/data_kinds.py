"""The kinds of own data: what each looks like on the disk, its options, and what reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.data.own.array_files import ARRAYS, ArrayOptions, is_array_file, read_array_file
from edgebll.data.own.audio_folder import SOUNDS, SoundOptions, is_sound_folder, read_sound_folder
from edgebll.data.own.byte_text import BYTES, PREFIX, ByteOptions, ByteSplits, is_bytes, read_bytes
from edgebll.data.own.code_data import CODE, CodeOptions, is_code, read_code, with_arguments
from edgebll.data.own.csv_table import TABLE, TableOptions, is_table, read_table
from edgebll.data.own.data_options import OwnDataOptions, preparation, read_options, written
from edgebll.data.own.event_folder import EVENTS, EventOptions, is_event_folder, read_event_folder
from edgebll.data.own.event_trials import TRIALS, is_trial_folder, read_trial_folder
from edgebll.data.own.heidelberg import HEIDELBERG, is_heidelberg, read_heidelberg
from edgebll.data.own.image_folder import IMAGES, ImageOptions, is_image_folder, read_image_folder
from edgebll.data.own.nir_data import NIR_DATA, is_nir_folder, read_nir_folder
from edgebll.data.own.record_data import RECORD, RecordOptions, RecordSplits, is_record, read_record
from edgebll.data.own.sample_pool import DataSplits, SamplePool, split_pool
from edgebll.data.own.spike_trains import TrainOptions
from edgebll.data.own.tonic_data import PREFIX as TONIC_PREFIX
from edgebll.data.own.tonic_data import TONIC, is_tonic, read_tonic
from edgebll.kernel.errors import ConfigError, DataError, EdgebllError

Tell = Callable[[str], None]


@dataclass(frozen=True)
class DataKind:
    """A kind of own data.

    Attributes:
        name: as runs write it down.
        looks: what it looks like, for messages.
        is_here: whether a path is of this kind.
        options: the dataclass of its options.
        read: makes a pool, or the splits of a record or a text, of (path, options, whom to tell).
    """

    name: str
    looks: str
    is_here: Callable[[Path], bool]
    options: type[OwnDataOptions]
    read: Callable[[Path, Any, Tell], SamplePool | RecordSplits | ByteSplits]


#: Data by the name of code.
OF_CODE = DataKind(
    CODE, "FILE.py:NAME or MODULE:NAME of your own code", lambda path: is_code(str(path)), CodeOptions, read_code
)
#: Kinds whose samples are numbers as they were measured, and what says by what they are normalised and which label is none.
_NUMBERS = {RECORD, ARRAYS, TABLE, CODE}
_NORMALIZED = ("normalize", "mean", "std", "ignore_index")
#: Kinds whose samples are spikes.
SPIKES = (EVENTS, TRIALS, NIR_DATA, HEIDELBERG, TONIC)
#: In the order in which a path is tried.
KINDS: tuple[DataKind, ...] = (
    DataKind(BYTES, f"a .txt file, or {PREFIX}PATH of any file or folder, as text", is_bytes, ByteOptions, read_bytes),
    DataKind(TONIC, f"{TONIC_PREFIX}NAME of a data set of tonic", is_tonic, EventOptions, read_tonic),
    DataKind(RECORD, "a record of a live source", is_record, RecordOptions, read_record),
    DataKind(ARRAYS, "an .npz file or a folder of x.npy and y.npy", is_array_file, ArrayOptions, read_array_file),
    DataKind(TABLE, "a .csv file or a folder with train.csv and test.csv", is_table, TableOptions, read_table),
    DataKind(IMAGES, "a folder of images, a subfolder a class", is_image_folder, ImageOptions, read_image_folder),
    DataKind(TRIALS, "a folder of .aedat files with tables of trials", is_trial_folder, EventOptions, read_trial_folder),
    DataKind(EVENTS, "a folder of event files, a subfolder a class", is_event_folder, EventOptions, read_event_folder),
    DataKind(NIR_DATA, "a folder of NIRData files, a subfolder a class", is_nir_folder, TrainOptions, read_nir_folder),
    DataKind(
        HEIDELBERG,
        "an .h5 file of the Heidelberg spiking data sets, or a folder of two",
        is_heidelberg,
        TrainOptions,
        read_heidelberg,
    ),
    DataKind(SOUNDS, "a folder of WAV files, a subfolder a class", is_sound_folder, SoundOptions, read_sound_folder),
)


def kind_of(path: Path) -> DataKind:
    """The kind of data at a path.

    Raises:
        DataError: there is nothing, or nothing that is known.
    """
    if OF_CODE.is_here(path):
        return OF_CODE
    try:
        if not path.exists() and not is_record(path) and not is_bytes(path) and not is_tonic(path):
            raise DataError(f"there is no data set at {path}; give a folder or file that exists")
        for kind in KINDS:
            if kind.is_here(path):
                return kind
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    raise DataError(f"{path} is no data that edgebll reads; give {'; or '.join(kind.looks for kind in (*KINDS, OF_CODE))}")


def options_of(path: Path, given: Mapping[str, Any]) -> OwnDataOptions:
    """Options of the data at a path, of their kind; arguments and errors are those of `read_own_data`."""
    kind = kind_of(path)
    own = with_arguments(given) if kind is OF_CODE else given
    return read_options(kind.options, str(path), {**own, "kind": kind.name})


def read_own_data(path: Path, given: Mapping[str, Any], tell: Tell) -> DataSplits | RecordSplits | ByteSplits:
    """The training and the test set at a path.

    Args:
        path: of a folder or a file.
        given: options of its kind, by name; with "digest" or "decoded", as a run recorded them, the data must still be those.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the data are missing, damaged, not of the kind or not those recorded. ConfigError: an option is wrong.
        MissingExtraError: a package that reads them is not installed.
    """
    kind, options = kind_of(path), options_of(path, given)
    try:
        pool = kind.read(path, options, tell)
    except EdgebllError:
        raise
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); check its permissions") from error
    _check_unchanged(path, given, written(pool.options))
    return split_pool(pool) if isinstance(pool, SamplePool) else pool


def files_left_out(path: Path, skipped: Sequence[str]) -> str:
    """How many files were left out, and one of them with the reason, in a sentence."""
    count = len(skipped)
    files, they = ("1 file is", "it") if count == 1 else (f"{count} files are", "they")
    return f"{path}: {files} left out, for {they} cannot be read, e.g. {skipped[0]}"


def prepared_alike(path: Path, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options for data other than those that a network was trained on: prepared as those were.

    All options of the same kind of data count. Numbers of another kind, e.g. of a live source after a table, are normalised by
    the same mean and deviation: the network knows no others.

    Args:
        path: of the other data.
        recorded: options of those of the training.
        given: options for these.
    """
    before, now = recorded.get("kind"), kind_of(path).name
    alike = preparation(recorded) if before == now else {}
    if before != now and {before, now} <= _NUMBERS:
        alike = {name: recorded[name] for name in _NORMALIZED if name in recorded}
    return {**alike, **given}


def _check_unchanged(path: Path, given: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    if given.get("digest", found.get("digest")) != found.get("digest"):
        raise DataError(
            f"the data at {path} have changed since the training began (their digest was {str(given['digest'])[:12]} and is "
            f"{str(found.get('digest'))[:12]}); put the files back as they were, or name the data anew with --data"
        )
    if given.get("decoded", found.get("decoded")) != found.get("decoded"):
        raise DataError(
            f"the data at {path} are those of the training, but packages installed here decode them to other numbers; "
            "install the releases of then, or name the data anew with --data"
        )


def check_no_options(name: str, given: Mapping[str, Any] | None) -> None:
    """Raise ConfigError if a data set that comes with edgebll is given options."""
    if stray := [key for key in given or () if key != "kind"]:
        raise ConfigError(f"the data set {name} has no data option {stray[0]!r}; own data have some")
