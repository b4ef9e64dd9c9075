"""TensorRT's Python package: where it is, and everything in which its versions 8.5 to 11 and TensorRT for RTX differ.

The system package of JetPack is preferred, since its version goes with the board's driver. What differs is asked of the package
itself wherever it can be; https://docs.nvidia.com/deeplearning/tensorrt/latest/api/migration-guide.html lists the changes.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from edgebll.kernel.errors import BoardError, MissingExtraError
from edgebll.kernel.support.whole_numbers import version_numbers

PACKAGES = ("tensorrt", "tensorrt_rtx")
#: Where Debian and Ubuntu, and so JetPack, put Python packages of the system; a virtual environment does not look there.
SYSTEM_FOLDERS = (f"/usr/lib/python3.{sys.version_info[1]}/dist-packages", "/usr/lib/python3/dist-packages")
OLDEST = (8, 5)
INSTALL = "on a Jetson: sudo apt install python3-libnvinfer; on a PC: pip install tensorrt, or tensorrt-rtx for GeForce cards"
_TYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "UINT8": "uint8",
    "BOOL": "bool",
}


def find_package() -> str | None:
    """Name of the package that `load_library` will take, or None; does not load it."""
    for name in PACKAGES:
        if name in sys.modules or importlib.util.find_spec(name) is not None or _system_package(name) is not None:
            return name
    return None


def _system_package(name: str, folders: Sequence[str] = SYSTEM_FOLDERS) -> Path | None:
    """The package's folder among those of the system, if it was built for this interpreter."""
    tag = f"cpython-3{sys.version_info[1]}-"
    for folder in folders:
        package = Path(folder, name)
        binaries = [path.name for path in package.glob("*.so")] if (package / "__init__.py").is_file() else []
        if any(tag in binary or binary == f"{name}.so" for binary in binaries):
            return package
    return None


def load_library() -> Library:
    """Import TensorRT, from the system's packages too if a virtual environment hides them.

    Raises:
        MissingExtraError: it is not installed or does not load. BoardError: it is too old.
    """
    name = find_package()
    if name is None:
        raise MissingExtraError(f"the runtime tensorrt needs TensorRT, which is not installed; {INSTALL}")
    try:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return Library(importlib.import_module(name))
        return Library(_import_from_system(name))
    except ImportError as error:
        raise MissingExtraError(f"TensorRT is installed but does not load ({error}); {INSTALL}") from error


def _import_from_system(name: str) -> ModuleType:
    folder = _system_package(name)
    spec = importlib.util.spec_from_file_location(
        name, f"{folder}/__init__.py", submodule_search_locations=[str(folder)] if folder else None
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} is not a package")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class Library:
    """TensorRT, any version.

    Args:
        module: the package.

    Attributes:
        trt: the package.
        title: what people call it, with its version.
        version: its numbers.
        strongly_typed: whether networks compute in the types the ONNX graph states.
        narrows: whether int64 becomes int32.
    """

    def __init__(self, module: Any) -> None:
        self.trt = module
        self.version = version_numbers(".".join(module.__version__.split(".")[:3]))
        self.is_rtx = module.__name__ == "tensorrt_rtx"
        self.title = f"{'TensorRT for RTX' if self.is_rtx else 'TensorRT'} {module.__version__}"
        if not self.is_rtx and self.version < OLDEST:
            raise BoardError(f"{self.title} is too old, edgebll needs 8.5 or newer; update JetPack, or use onnxruntime")
        modern = self.is_rtx or self.version[0] >= 10
        self.strongly_typed = modern or hasattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
        self.narrows = not modern
        self._before_10 = not modern

    def create_network(self, builder: Any) -> Any:
        """An empty network with an explicit batch axis, computing in the types of the graph where the version can."""
        flags = self.trt.NetworkDefinitionCreationFlag
        names = ["EXPLICIT_BATCH"] if self._before_10 else []
        names += ["STRONGLY_TYPED"] if self.strongly_typed else []
        bits = (1 << int(getattr(flags, name)) for name in names if hasattr(flags, name))
        return builder.create_network(sum(bits))

    def load_plugins(self, logger: Any) -> None:
        """Register TensorRT's own plugins, which the parsers and engines of versions 8 and 9 may use."""
        if self._before_10 and hasattr(self.trt, "init_libnvinfer_plugins"):
            self.trt.init_libnvinfer_plugins(logger, "")

    def dtype_name(self, dtype: Any) -> str:
        """numpy's name of a TensorRT data type; TensorRT's own where edgebll does not know it."""
        return _TYPES.get(dtype.name, str(dtype.name))

    def deserialize(self, logger: Any, content: bytes) -> Any | None:
        """The engine in `content`, or None if this version or this GPU does not take it."""
        self.load_plugins(logger)
        return self.trt.Runtime(logger).deserialize_cuda_engine(content)

    def create_context(self, engine: Any) -> Any:
        """An execution context that is given its scratch memory instead of taking some of its own.

        Raises:
            BoardError: TensorRT could not make one.
        """
        strategies = getattr(self.trt, "ExecutionContextAllocationStrategy", None)
        if strategies is not None:
            context = engine.create_execution_context(strategies.USER_MANAGED)
        else:
            context = engine.create_execution_context_without_device_memory()
        if context is None:
            raise BoardError(f"{self.title} could not prepare an engine to run; its log says why")
        return context

    @staticmethod
    def scratch_bytes(engine: Any) -> int:
        """Bytes of scratch memory an execution context of the engine needs."""
        size = getattr(engine, "device_memory_size_v2", None)
        return int(engine.device_memory_size if size is None else size)

    @staticmethod
    def set_scratch(context: Any, address: int, size_bytes: int) -> None:
        """Give a context its scratch memory."""
        if hasattr(context, "set_device_memory"):
            context.set_device_memory(address, size_bytes)
        else:
            context.device_memory = address

    @staticmethod
    def is_capturable(context: Any, stream: int) -> bool:
        """Whether the context's work may be captured into a CUDA graph; versions that cannot tell are tried."""
        ask = getattr(context, "is_stream_capturable", None)
        return True if ask is None else bool(ask(stream))

    def parser_errors(self, parser: Any, node_names: Sequence[str]) -> list[str]:
        """What the parser refused, as "node (operator): why"; older versions know only the node's number."""
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        return [self._parser_error(error, node_names) for error in errors]

    @staticmethod
    def _parser_error(error: Any, node_names: Sequence[str]) -> str:
        number = int(error.node())
        name = error.node_name() if hasattr(error, "node_name") else ""
        if not name and 0 <= number < len(node_names):
            name = node_names[number]
        operator = error.node_operator() if hasattr(error, "node_operator") else ""
        where = " ".join(part for part in (name, f"({operator})" if operator else "") if part)
        where = where or (f"node {number}" if number >= 0 else "the whole file")
        return f"{where}: {' '.join(str(error.desc()).split())}"
