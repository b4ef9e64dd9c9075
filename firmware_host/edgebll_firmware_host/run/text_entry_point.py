"""`edgebll sample` as a function: a text from a trained network, computed here or on boards."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebll.data.texts.byte_network import Told, sample_with
from edgebll.data.texts.byte_sampler import ByteSampler, Choosing
from edgebll.data.texts.local_networks import network_of, open_network
from edgebll.data.texts.shown_text import shown
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.limits import default_threads
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.runs.trained_place import find_trained
from edgebll.kernel.support import bounds
from edgebll.kernel.support.bounds import WrongValue
from edgebll_firmware_host.engines.engine_choice import OnBoards, agents_here, on_inventory
from edgebll_firmware_host.inventory import load_cluster
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run.run_spec import SimulateSpec
from edgebll_firmware_host.run.text_stream import AnswerRecorder, TextStream

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class SampledText:
    """A text of a network.

    Attributes:
        prompt: the bytes that it was given.
        sampled: the bytes that it chose.
    """

    prompt: bytes
    sampled: bytes

    @property
    def text(self) -> str:
        """All of it as UTF-8; what is none, and what a terminal would act on, is written out."""
        return shown(self.prompt + self.sampled)


def sample(
    path: Place,
    *,
    prompt: str | bytes = "\n",
    count: int = 200,
    temperature: float = 0.8,
    seed: int = 0,
    boards: int = 0,
    cluster: Place | None = None,
    runtime: str = "onnxruntime",
    threads: int | None = None,
    told: Callable[[int], None] | None = None,
    progress: EventCallback | Listener | None = None,
) -> SampledText:
    """Let a network that was trained on `next-byte` write a text: bytes are chosen one after another by what it foretells.

    The whole context is computed anew for each byte: a text of n bytes costs n evaluations of a batch. The same seed gives the
    same text from the same weights, computed by the same runtime; a bundle's graphs give the same on any number of boards.

    Args:
        path: a run folder of `train`, `simulate` or `run`, a bundle, or a model of `merge`.
        prompt: what the text begins with, a text or bytes, at least one.
        count: bytes to choose.
        temperature: shares of bytes are softmax(z / temperature); 0 takes the likeliest byte always.
        seed: of the draws.
        boards: agents to start on this machine, over which the blocks are spread; 0 computes in this process.
        cluster: the inventory of boards to compute on, cluster.toml.
        runtime: what computes a bundle here or on agents of this machine, e.g. "onnxruntime" or "reference"; boards of an
            inventory have their own.
        threads: of the computation here; by default the usable processors, and one of each agent.
        told: is called with each byte as it comes, the prompt's first.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The prompt and the bytes chosen.

    Raises:
        ConfigError: an option is wrong, or the network foretells no bytes.
        BundleError: there is no trained network at `path`, or for boards, no bundle.
        MissingExtraError: what computes it is not installed.
        LinkError: boards cannot be reached, or a link broke for good.
        BoardError: boards failed or vanished for good.

    Examples:
        >>> import edgebll, pathlib
        >>> _ = pathlib.Path("rhyme.txt").write_text("green bottles hanging on the wall, " * 60)
        >>> small = {"depth": 2, "dim": 8, "heads": 2, "hidden": 8}
        >>> how = {"data": "rhyme.txt", "data_option": {"context": 16}, "network": "byte-transformer", "network_option": small}
        >>> run = edgebll.train("rhymes", **how, blocks=2, batch_size=8, epochs=1)
        >>> found = edgebll.sample(run, prompt="green", count=3)
        >>> found.prompt, len(found.sampled)
        (b'green', 3)
    """
    given = prompt.encode("utf-8", "surrogateescape") if isinstance(prompt, str) else prompt
    choosing = Choosing(given, count, temperature, seed)
    if threads is not None:
        bounds.THREADS.check("threads", threads)
    if boards and cluster is not None:
        raise ConfigError("boards are agents of this machine, cluster the boards of an inventory; give one of them")
    hear = told or _deaf
    if not boards and cluster is None:
        with open_network(Path(path), runtime, threads or default_threads()) as (compute, network):
            text = sample_with(compute, network, choosing, hear)
    else:
        bundle = _bundle_at(Path(path))
        where = _boards(bundle, boards, cluster, runtime, threads or 1)
        text = sample_on_boards(bundle, where, choosing, hear, as_listener(progress))
    return SampledText(given, text[len(given) :])


def sample_on_boards(bundle: Bundle, where: OnBoards, choosing: Choosing, told: Told, listener: Listener) -> bytes:
    """Choose bytes by what boards compute; arguments and errors are those of `sample`.

    Args:
        bundle: the blocks.
        where: the boards.
        choosing: how bytes are chosen.
        told: of each byte.
        listener: is told what happens besides.
    """
    network = network_of(bundle)
    sampler = ByteSampler(choosing, network.context)
    run, blocks = uuid.uuid4().hex, tuple(block.name for block in bundle.manifest.blocks)
    stream = TextStream(bundle, run, network, sampler, told)
    with _scratch_run() as folder:
        for byte in choosing.prompt:
            told(byte)
        recorder = AnswerRecorder(folder, listener, blocks, bundle.manifest.batch_size, 0, 0, answers=stream)
        request = RunRequest(bundle, run, stream.tokens, preflight=where.preflight)
        run_on_boards(request, where.engine(folder.path), recorder)
    return bytes(sampler.text)


@contextlib.contextmanager
def _scratch_run() -> Iterator[RunFolder]:
    """A run folder for the length of a text: what boards need to know a run by is kept in one."""
    with tempfile.TemporaryDirectory(prefix="edgebll-sample-") as place, RunFolder.create(Path(place) / "run", {}) as folder:
        yield folder


def _bundle_at(path: Path) -> Bundle:
    if path.is_file():
        raise ConfigError(f"boards compute a bundle, and {path} is a file, maybe a merged model; give the bundle it came from")
    place = find_trained(path)
    if place.bundle is None:
        raise ConfigError(f"boards compute a bundle, and {path} is a training run; export it first, `edgebll export {path}`")
    return open_bundle(place.bundle)


def _boards(bundle: Bundle, boards: int, cluster: Place | None, runtime: str, threads: int) -> OnBoards:
    if cluster is not None:
        return on_inventory(load_cluster(os.fspath(cluster)), preflight=True)
    if boards < 0:
        raise WrongValue("boards", f"must be at least 1, or 0 to compute here, not {boards}")
    number = min(boards, len(bundle.manifest.blocks))
    return agents_here(SimulateSpec(boards=number, runtime=runtime, threads=threads))


def _deaf(_: int) -> None:
    pass
