"""Put on PYTHONPATH: whoever unpickles or calls torch.load in any Python process gets an error, and $NO_PICKLE_LOG a line."""

import importlib.machinery
import importlib.util
import os
import pickle
import sys
import traceback
from types import ModuleType


def _refuse(*_: object, **__: object) -> None:
    with open(os.environ["NO_PICKLE_LOG"], "a", encoding="utf-8") as log:
        log.write("".join(traceback.format_stack(limit=8)) + "\n")
    raise RuntimeError("something was unpickled")


def _audit(event: str, _: object) -> None:
    if event == "pickle.find_class":  # the C implementation too, whoever holds a reference to it
        _refuse()


class _Loader(importlib.machinery.SourceFileLoader):
    """torch.load has an unpickler of its own for files of weights alone."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.load = _refuse  # type: ignore[attr-defined]


class _Finder:
    """Finds torch.serialization, with its `load` refused."""

    @staticmethod
    def find_spec(name: str, path: object, target: object = None) -> object:
        if name != "torch.serialization":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        return spec and importlib.util.spec_from_file_location(name, spec.origin, loader=_Loader(name, str(spec.origin)))


for _name in ("load", "loads", "_load", "_loads"):
    setattr(pickle, _name, _refuse)
setattr(pickle._Unpickler, "load", _refuse)  # noqa: B010
sys.addaudithook(_audit)
sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
with open(os.environ["NO_PICKLE_LOG"] + ".processes", "a", encoding="utf-8") as _processes:
    _processes.write(f"{' '.join(sys.orig_argv[1:])!r}\n")
