"""Boards and hosts import neither torch nor onnx: every module of theirs loads with both blocked."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

SCRIPT = textwrap.dedent(
    """
    import importlib, importlib.abc, pkgutil, sys

    class Blocked(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in BLOCKED:
                raise ImportError(f"{name} is blocked")
            return None

    sys.meta_path.insert(0, Blocked())
    try:
        import onnx
    except ImportError:
        pass
    else:
        raise SystemExit("the block does not hold")

    package = importlib.import_module(PACKAGE)
    modules = [PACKAGE, *EXTRA]
    modules += [m.name for m in pkgutil.walk_packages(package.__path__, PACKAGE + ".")]
    for name in modules:
        importlib.import_module(name)
    print(len(modules), *modules)
    """
)


#: Nothing of these may load: the training side, and what only the extras bring.
HEAVY = ("torch", "onnx", "sklearn", "matplotlib", "scipy", "edgebll_export")


def import_all(package: str, blocked: tuple[str, ...], extra: tuple[str, ...] = ()) -> set[str]:
    """Import a package's modules, and some extra ones, in a fresh interpreter with some packages blocked; their names."""
    header = f"PACKAGE, BLOCKED, EXTRA = {package!r}, {blocked!r}, {extra!r}\n"
    result = subprocess.run([sys.executable, "-c", header + SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split()[1:])


def test_every_board_module_loads_without_torch_and_onnx() -> None:
    modules = import_all("edgebll_devices", (*HEAVY, "edgebll_firmware_host"))
    assert len(modules) >= 8
    assert {"edgebll_devices.agent.agent", "edgebll_devices.commands.main", "edgebll_devices.session.worker"} <= modules


def test_every_host_module_loads_without_torch_and_onnx() -> None:
    extra = ("edgebll.data.token_stream", "edgebll.cli.app", "edgebll_firmware_host.commands.run", "edgebll.data")
    modules = import_all("edgebll_firmware_host", (*HEAVY, "edgebll_devices"), extra)
    assert {"edgebll_firmware_host.run.cluster_run", "edgebll_firmware_host.engines.local_processes", *extra} <= modules


def test_the_agent_is_ready_before_any_heavy_import(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        import edgebll_devices.agent.agent, edgebll_devices.commands.main
        from edgebll_devices.storage.board_files import BoardFiles
        from edgebll_devices.agent.board_info import BoardInfo
        BoardInfo("x", BoardFiles(Path(sys.argv[1]), "x")).welcome("run", "tcp://127.0.0.1:1")
        heavy = {"onnxruntime", "torch", "onnx", "scipy", "sklearn", "matplotlib"} & set(sys.modules)
        raise SystemExit(f"imported: {heavy}" if heavy else 0)
        """
    )
    line = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
