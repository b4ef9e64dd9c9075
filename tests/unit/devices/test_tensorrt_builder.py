"""Building engines with NVIDIA's own builder, which needs no GPU in the package tensorrt-rtx."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from support import exported, tensorrt_builds
from support.one_node import make_model
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError, BundleError
from edgebll.kernel.execution.load_context import LoadContext, LoadHalted
from edgebll_devices.runtimes.tensorrt.builder import Builder, BuildOptions, node_names
from edgebll_devices.runtimes.tensorrt.find_library import Library, load_library
from edgebll_devices.runtimes.tensorrt.gpu_info import GpuInfo
from edgebll_devices.runtimes.tensorrt.load import Workshop, default_options

pytestmark = pytest.mark.skipif(not tensorrt_builds.AVAILABLE, reason=tensorrt_builds.WHY_NOT)

GPU = GpuInfo("Orin", (8, 7), 8, 8 << 30, True)


@pytest.fixture(scope="module")
def library() -> Library:
    return load_library()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


def test_it_builds_and_tells(library: Library, bundle: Bundle) -> None:
    said: list[str] = []
    built = Builder(library, LoadContext(say=said.append)).build(
        "block0/step.onnx", bundle.graph("block0", "step"), BuildOptions()
    )
    assert len(built.engine) > 1000
    assert said[0] == f"building block0/step.onnx for {library.title}"
    assert said[-1].startswith(f"building block0/step.onnx for {library.title}: done in ")


def test_every_graph_of_an_exported_bundle_builds(library: Library, tmp_path: Path) -> None:
    exported_bundle = exported.mixed(tmp_path / "mixed", "tensorrt-8.5")
    builder = Builder(library, LoadContext())
    for block in exported_bundle.manifest.blocks:
        for graph in block.graphs:
            assert builder.build(graph, exported_bundle.graph(block.name, graph), BuildOptions()).engine


def test_a_refused_graph_is_a_sentence_with_the_node(library: Library) -> None:
    model = make_model("Det", [np.eye(3, dtype=np.float32)], {})
    model.graph.node[0].name = "the_culprit"
    with pytest.raises(BundleError, match=r"the_culprit.*Det.*export the bundle with --target") as caught:
        Builder(library, LoadContext()).build("block0/step.onnx", model.SerializeToString(), BuildOptions())
    assert "\n" not in str(caught.value)


def test_garbage_is_refused(library: Library) -> None:
    with pytest.raises(BundleError, match=r"x does not parse in TensorRT"):
        Builder(library, LoadContext()).build("x", b"not a graph", BuildOptions())
    assert node_names(b"not a graph") == ()


def test_a_build_can_be_stopped(library: Library, bundle: Bundle, tmp_path: Path) -> None:
    graph = exported.resnet(tmp_path / "resnet", "tensorrt-8.5").graph("block0", "step")
    asked = threading.Event()

    def halted() -> bool:
        """No at the start, yes from the first step of the build on."""
        before = asked.is_set()
        asked.set()
        return before

    with pytest.raises(LoadHalted, match="the run is over"):
        Builder(library, LoadContext(halted=halted)).build("block0/step.onnx", graph, BuildOptions())
    with pytest.raises(LoadHalted):
        Builder(library, LoadContext(halted=lambda: True)).build("block0/step.onnx", graph, BuildOptions())


def test_the_interpreter_is_free_while_it_builds(library: Library, tmp_path: Path) -> None:
    """The agent answers heartbeats from another thread of the same process."""
    graph = exported.resnet(tmp_path / "resnet", "tensorrt-8.5").graph("block0", "step")
    over, turns = threading.Event(), [0]

    def count() -> None:
        while not over.wait(0.001):
            turns[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        Builder(library, LoadContext()).build("block0/step.onnx", graph, BuildOptions())
    finally:
        over.set()
        thread.join()
    assert turns[0] > 20


class Deserializer:
    """In the place of Library.deserialize, which needs a GPU: takes engines that begin as expected."""

    def __init__(self, refused: int = 0) -> None:
        self.seen: list[bytes] = []
        self._refused = refused

    def __call__(self, logger: object, content: bytes) -> object | None:
        self.seen.append(content)
        self._refused -= 1
        return None if self._refused >= 0 else object()


def test_engines_are_built_once(library: Library, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    load_context = LoadContext(say=said.append, engine_dir=tmp_path)
    deserialize = Deserializer()
    monkeypatch.setattr(library, "deserialize", deserialize, raising=False)
    graph = bundle.graph("block0", "step")
    assert Workshop(library, GPU, load_context).engine("step", graph)
    built = len(said)
    assert Workshop(library, GPU, load_context).engine("step", graph)
    assert len(said) == built
    assert deserialize.seen[0] == deserialize.seen[1]
    assert [path.suffix for path in tmp_path.iterdir()] == [".engine"]


def test_an_engine_tensorrt_does_not_take_is_built_anew(
    library: Library, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_context, graph = LoadContext(engine_dir=tmp_path), bundle.graph("block0", "step")
    monkeypatch.setattr(library, "deserialize", Deserializer(), raising=False)
    Workshop(library, GPU, load_context).engine("step", graph)
    fussy = Deserializer(refused=1)
    monkeypatch.setattr(library, "deserialize", fussy, raising=False)
    assert Workshop(library, GPU, load_context).engine("step", graph)
    assert len(fussy.seen) == 2
    never = Deserializer(refused=99)
    monkeypatch.setattr(library, "deserialize", never, raising=False)
    with pytest.raises(BoardError, match="does not load the engine it just built from step"):
        Workshop(library, GPU, load_context).engine("step", graph)


def test_scratch_memory_is_limited_the_same_way_every_time() -> None:
    assert default_options(GPU) == BuildOptions(workspace_bytes=1 << 30)
    assert default_options(GpuInfo("H", (9, 0), 132, 64 << 30, False)).workspace_bytes == 32 << 30
    assert BuildOptions().tf32 is False
