"""No source of edgebll touches pickle or what pickles; what runs is watched in tests/integration/test_no_pickle.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("edgebll", "export", "devices", "firmware_host")
_SOURCES = sorted(path for folder in _FOLDERS for path in (_ROOT / folder).rglob("*.py"))
#: Modules that are made of pickle, or run what they read.
_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "shelve", "yaml"}
_MODULES |= {"multiprocessing"}
#: Names that pickle on the quiet, as attributes of whatever; "load" and "save" only of these modules.
_NAMES = {"send_pyobj", "recv_pyobj", "send_serialized", "ProcessPoolExecutor", "allow_pickle", "weights_only"}
_OF_MODULES = {("torch", "load"), ("torch", "save"), ("np", "load"), ("numpy", "load"), ("np", "save")}
_CALLS = {"eval", "exec", "__import__"}
#: A state_dict that the user names, by PyTorch's reader of tensors alone: test_pretrained_weights.py sees that it runs nothing.
_READS_TENSORS = {"edgebll/learning/networks/pretrained_weights.py": ["load", "weights_only"]}


def findings(source: str) -> list[str]:
    """What of the above a source uses."""
    found: list[str] = []
    tree = ast.parse(source)
    excused = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Call) for part in _without_pickle(node)}
    for node in ast.walk(tree):
        if id(node) in excused:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in _MODULES]
        elif isinstance(node, ast.ImportFrom):
            found += [node.module] if node.module and node.module.split(".")[0] in _MODULES else []
            found += [alias.name for alias in node.names if alias.name in _NAMES]
        elif isinstance(node, ast.Attribute):
            owner = node.value.id if isinstance(node.value, ast.Name) else ""
            found += [node.attr] if node.attr in _NAMES or (owner, node.attr) in _OF_MODULES else []
        elif isinstance(node, ast.keyword):
            found += [node.arg] if node.arg in _NAMES else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            found.append(node.func.id)
        elif isinstance(node, ast.Constant) and node.value in _MODULES:
            found.append(str(node.value))  # import_module("pickle")
    return found


def _without_pickle(call: ast.Call) -> list[ast.AST]:
    """Of a call that forbids pickle, as numpy's reader of arrays can, the function and the argument that does."""
    forbids = [k for k in call.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) == "False"]
    return [call.func, *forbids] if forbids else []


def test_no_source_uses_pickle() -> None:
    assert len(_SOURCES) > 200
    used = {str(path.relative_to(_ROOT)): found for path in _SOURCES if (found := findings(path.read_text("utf-8")))}
    assert used == _READS_TENSORS


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import torch, _pickle as p",
        "from pickle import loads",
        "import multiprocessing.pool",
        "torch.load('x')",
        "np.load('x', allow_pickle=True)",
        "f(allow_pickle=True)",
        "np.load('x')",
        "socket.recv_pyobj()",
        "from concurrent.futures import ProcessPoolExecutor",
        "importlib.import_module('pickle')",
        "eval('1')",
        "def f():\n    import dill",
    ],
)
def test_what_is_looked_for_is_found(source: str) -> None:
    assert findings(source)


def test_a_call_that_forbids_pickle_is_none() -> None:
    assert not findings("np.load('x', allow_pickle=False)")
