"""Boards import neither torch nor onnx: every module of theirs loads with both blocked."""

from __future__ import annotations

import subprocess
import sys
import textwrap

SCRIPT = textwrap.dedent(
    """
    import importlib, importlib.abc, pkgutil, sys

    class Blocked(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in ("torch", "onnx", "edgebll_export", "edgebll_firmware_host"):
                raise ImportError(f"{name} is blocked")
            return None

    sys.meta_path.insert(0, Blocked())
    try:
        import onnx
    except ImportError:
        pass
    else:
        raise SystemExit("the block does not hold")

    import edgebll_devices
    modules = ["edgebll_devices"]
    modules += [m.name for m in pkgutil.walk_packages(edgebll_devices.__path__, "edgebll_devices.")]
    for name in modules:
        importlib.import_module(name)
    print(len(modules), *modules)
    """
)


def test_every_board_module_loads_without_torch_and_onnx() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    count, *modules = result.stdout.split()
    assert int(count) >= 8
    assert {"edgebll_devices.agent", "edgebll_devices.cli", "edgebll_devices.worker"} <= set(modules)


def test_the_agent_is_ready_before_any_heavy_import() -> None:
    script = textwrap.dedent(
        """
        import sys
        import edgebll_devices.agent, edgebll_devices.cli, edgebll_devices.facts
        edgebll_devices.facts.make_welcome("x", "tcp://127.0.0.1:1")
        heavy = {"onnxruntime", "torch", "onnx", "scipy", "sklearn", "matplotlib"} & set(sys.modules)
        raise SystemExit(f"imported: {heavy}" if heavy else 0)
        """
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
