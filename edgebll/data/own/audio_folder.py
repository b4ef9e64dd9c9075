"""A folder of sounds, a subfolder a class: each becomes log-mel spectrograms of crops of one length."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgebll.data.dataset import Floats
from edgebll.data.own.class_folders import ClassFiles, find_class_files, has_class_files
from edgebll.data.own.data_options import YES, OwnDataOptions
from edgebll.data.own.decoded_classes import decode_classes, files_left_out, parts_left, raise_of_machine
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.held_out import decide
from edgebll.data.own.log_mel import log_mel, read_wave, wave_rate
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError, DataError

SOUNDS = "sounds"
ENDINGS = (".wav", ".wave")


@dataclass(frozen=True)
class SoundOptions(OwnDataOptions):
    """Options of a folder of sounds; those of every kind come before.

    Attributes:
        seconds: of a sample; shorter sounds end in silence.
        crops: samples of each file, at places that follow from split_seed and the file's name.
        mels: bands of a spectrogram.
        frame_ms: milliseconds of a frame.
        hop_ms: milliseconds from the beginning of a frame to that of the next.
        rate: samples a second that all files must have; 0 for that of the first.
        decoded: SHA-256 of the spectrograms; empty until it is found out.

    Raises:
        ConfigError: one is out of range.
    """

    seconds: float = 1.0
    crops: int = 1
    mels: int = 40
    frame_ms: float = 25.0
    hop_ms: float = 10.0
    rate: int = 0
    decoded: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        bounds = {"seconds": 3600, "crops": 10_000, "mels": 512, "frame_ms": 1000, "hop_ms": 1000}
        for name, most in bounds.items():
            if not 0 < getattr(self, name) <= most:
                raise ConfigError(f"the data option {name} must be above 0 and at most {most}, not {getattr(self, name):g}")
        if self.frame_ms > 1000 * self.seconds:
            raise ConfigError(
                f"a frame of {self.frame_ms:g} ms is longer than the sample of {self.seconds:g} s; lower frame_ms"
            )

    def counts(self) -> tuple[int, int, int]:
        """Samples of a crop, of a frame and of a hop."""
        frame, hop = (max(1, round(self.rate * ms / 1000)) for ms in (self.frame_ms, self.hop_ms))
        return max(frame, round(self.rate * self.seconds)), frame, hop


def is_sound_folder(path: Path) -> bool:
    """Whether there are WAV files in subfolders."""
    return path.is_dir() and has_class_files(path, ENDINGS)


def read_sound_folder(path: Path, options: SoundOptions, tell: Callable[[str], None]) -> SamplePool:
    """All sounds of a folder, as log-mel spectrograms float32 (N, 1, mels, frames).

    Args:
        path: of the folder.
        options: of the sounds.
        tell: takes a sentence before what may take long.

    Raises:
        DataError: the folder has not the classes it should, or not one file of a class can be read.
    """
    found = find_class_files(path, ENDINGS, "sound", options.classes)
    options = replace(options, rate=options.rate or _rate(found), classes=found.classes, normalize=options.normalize or YES)
    length, frame, hop = options.counts()
    shape = (options.crops, 1, options.mels, 1 + (length - frame) // hop)
    digest = digest_files(path, found.files)
    recipe = {"digest": digest, "rate": options.rate, "decoder": f"numpy {np.__version__}"}
    recipe |= {"length": length, "frame": frame, "hop": hop, "seed": options.split_seed}
    decoded = decode_classes(
        found,
        lambda file: _crops(file, file.relative_to(path).as_posix(), options),
        shape,
        "float32",
        recipe,
        lambda: tell(f"computing spectrograms of {len(found.files)} sounds of {path}, once; they are kept for later"),
    )
    options = replace(options, digest=digest, decoded=decoded.sha256)
    parts = decide(parts_left(found, decoded), found.labels, options.test, options.split_seed)  # all crops of a file together
    samples = decoded.array.reshape(-1, *shape[1:])
    labels = np.repeat(found.labels, options.crops)
    return SamplePool(str(path), samples, labels, np.repeat(parts, options.crops), options, files_left_out(found, decoded))


def _rate(found: ClassFiles) -> int:
    for file in found.files:
        try:
            return wave_rate(file)
        except Exception as error:  # a damaged file may raise anything; `decode_classes` says why
            raise_of_machine(error, file)
    raise DataError(
        f"{found.folder}: not one sound can be read, e.g. {found.name_of(0)}; give WAV files of whole numbers (PCM)"
    )


def _crops(file: Path, name: str, options: SoundOptions) -> Floats:
    """Spectrograms of a file's crops: (crops, 1, mels, frames)."""
    waves, rate = read_wave(file)
    if rate != options.rate:
        raise ValueError(f"it has {rate} samples a second, not {options.rate} as the others")
    length, frame, hop = options.counts()
    waves = np.pad(waves, (0, max(0, length - len(waves))))
    places = np.random.RandomState([options.split_seed, zlib.crc32(name.encode())])
    starts = places.randint(0, len(waves) - length + 1, options.crops)
    return np.stack([log_mel(waves[at : at + length], rate, options.mels, frame, hop)[None] for at in starts])
