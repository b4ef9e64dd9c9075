"""The Python package tensorrt as far as edgebll calls it, in the shape of a given version; computes nothing, notes calls.

Made after the documented API of 8.5, 10 and 11, for what differs between them. TensorRT for RTX, which is installed where tests
run, covers the newest form for real.
"""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any


class DataType(enum.Enum):
    FLOAT, HALF, INT32, BOOL, INT64, BF16 = range(6)


class TensorIOMode(enum.Enum):
    NONE, INPUT, OUTPUT = range(3)


class BuilderFlag(enum.Enum):
    FP16, TF32, OBEY_PRECISION_CONSTRAINTS = range(3)


class _Logger:
    INFO = 3


class Tensor:
    """An ITensor."""

    def __init__(self, dtype: DataType) -> None:
        self.dtype = dtype


class Layer:
    """An ILayer; what is set on it is kept."""

    def __init__(self, kind: str, *dtypes: DataType) -> None:
        self.type = SimpleNamespace(name=kind)
        self._outputs = [Tensor(dtype) for dtype in dtypes]
        self.num_outputs = len(dtypes)
        self.precision: DataType | None = None
        self.output_types: dict[int, DataType] = {}

    def get_output(self, index: int) -> Tensor:
        return self._outputs[index]

    def set_output_type(self, index: int, dtype: DataType) -> None:
        self.output_types[index] = dtype


class Network:
    """An INetworkDefinition."""

    def __init__(self, inputs: list[Tensor], layers: list[Layer]) -> None:
        self._inputs, self._layers = inputs, layers
        self.num_inputs, self.num_layers = len(inputs), len(layers)

    def get_input(self, index: int) -> Tensor:
        return self._inputs[index]

    def get_layer(self, index: int) -> Layer:
        return self._layers[index]


class Config:
    """An IBuilderConfig of version 8.5: no optimisation level, no progress monitor."""

    def __init__(self) -> None:
        self.flags = {BuilderFlag.TF32}
        self.limits: dict[str, int] = {}

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.add(flag)

    def clear_flag(self, flag: BuilderFlag) -> None:
        self.flags.discard(flag)

    def set_memory_pool_limit(self, pool: str, size: int) -> None:
        self.limits[pool] = size

    def create_timing_cache(self, content: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: content + b"+")

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        return not ignore_mismatch


class Context:
    """An IExecutionContext of version 8.5; `set_device_memory` came with 10.1."""

    def __init__(self) -> None:
        self.device_memory: Any = None
        self.addresses: dict[str, int] = {}
        self.streams: list[int] = []
        self.works = True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return self.works

    def execute_async_v3(self, stream: int) -> bool:
        self.streams.append(stream)
        return self.works


class NewContext(Context):
    """An IExecutionContext of version 10.1 and newer."""

    def set_device_memory(self, address: int, size: int) -> None:
        self.device_memory = (address, size)


class Engine:
    """An ICudaEngine with one input x and one output a."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.num_io_tensors = 2
        self.device_memory_size = 512
        self.shapes, self.dtypes = {"x": (2, 3), "a": (2,)}, {"x": DataType.FLOAT, "a": DataType.INT32}
        if module.version >= (10,):
            self.device_memory_size_v2 = 1024

    def get_tensor_name(self, index: int) -> str:
        return ("x", "a")[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == "x" else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes[name]

    def get_tensor_dtype(self, name: str) -> DataType:
        return self.dtypes[name]

    def create_execution_context(self, strategy: str) -> Context:
        self._module.noted.append(("create_execution_context", strategy))
        return NewContext()

    def create_execution_context_without_device_memory(self) -> Context:
        if self._module.version >= (11,):
            raise AttributeError("removed in 11")
        self._module.noted.append(("create_execution_context_without_device_memory",))
        return Context()


class ParserError:
    """An IParserError of version 8.5, which does not know the node's name."""

    def node(self) -> int:
        return 1

    def desc(self) -> str:
        return "no such\n operator"


class NewParserError(ParserError):
    """An IParserError of version 10."""

    def node_name(self) -> str:
        return "norm"

    def node_operator(self) -> str:
        return "LayerNormalization"


def make_module(version: str, network: Network | None = None) -> Any:
    """The package; `noted` lists what was called."""
    numbers = tuple(int(part) for part in version.split("."))
    module = SimpleNamespace(__name__="tensorrt", __version__=version, version=numbers, noted=[])
    flags = {}
    if numbers < (11,):
        flags["EXPLICIT_BATCH"] = 0
    if numbers >= (10,):
        flags["STRONGLY_TYPED"] = 1
        module.ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user")
    else:
        module.init_libnvinfer_plugins = lambda logger, namespace: module.noted.append(("plugins", namespace))
    error = NewParserError if numbers >= (10,) else ParserError
    module.NetworkDefinitionCreationFlag = SimpleNamespace(**flags)
    module.DataType, module.TensorIOMode, module.BuilderFlag, module.ILogger = DataType, TensorIOMode, BuilderFlag, _Logger
    module.MemoryPoolType = SimpleNamespace(WORKSPACE="workspace")
    config = Config()
    module.config = config

    def create_network(bits: int) -> Network:
        module.noted.append(("create_network", bits))
        return network or Network([], [])

    module.Builder = lambda logger: SimpleNamespace(
        create_network=create_network,
        create_builder_config=lambda: config,
        build_serialized_network=lambda net, conf: b"engine",
    )
    module.OnnxParser = lambda net, logger: SimpleNamespace(
        parse=lambda content: content != b"refused", num_errors=1, get_error=lambda index: error()
    )
    return module
