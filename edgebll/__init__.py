"""Networks that learn on small boards.

    import edgebll as eb

    trained = eb.train("runs/mine", network="resnet8", epochs=2)
    bundle = eb.export(trained, "bundles/mine", state="initial")
    result = eb.simulate(bundle, "runs/boards", boards=4, progress=print)
    print(result.accuracy, eb.evaluate(result).accuracy)

Names are loaded when they are first used: this package is imported on every board, so it imports nothing heavy itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgebll.kernel.version import __version__ as __version__

if TYPE_CHECKING:
    from edgebll.data.evaluation import evaluate
    from edgebll.kernel.bundle import open_bundle
    from edgebll.kernel.comparison.compare_runs import RunComparison, compare
    from edgebll.kernel.errors import EdgebllError
    from edgebll.kernel.runs.run_events import RunEvent
    from edgebll.kernel.runs.run_result import RunResult
    from edgebll.kernel.tasks import Task, make_task
    from edgebll.learning import BLL, SGD, AdamW, make_optimizer, make_rule
    from edgebll.learning.networks import BlockNetwork, make_network
    from edgebll.learning.reproduce.sweep import sweep
    from edgebll.learning.training.entry_point import train
    from edgebll.learning.training.module_state import state_dict
    from edgebll_devices.block_access import load_block
    from edgebll_export.bundles.export_bundle import export_bundle
    from edgebll_export.bundles.export_trained import export
    from edgebll_export.bundles.verify_report import verify
    from edgebll_export.merged.merge import merge
    from edgebll_firmware_host.run.entry_points import run, simulate
    from edgebll_firmware_host.run.text_entry_point import sample

__all__ = [
    "BLL",
    "SGD",
    "AdamW",
    "BlockNetwork",
    "EdgebllError",
    "RunComparison",
    "RunEvent",
    "RunResult",
    "Task",
    "compare",
    "evaluate",
    "export",
    "export_bundle",
    "load_block",
    "make_network",
    "make_optimizer",
    "make_rule",
    "make_task",
    "merge",
    "open_bundle",
    "run",
    "sample",
    "simulate",
    "state_dict",
    "sweep",
    "train",
    "verify",
]

#: Where each name lives: "module:name".
_PLACES = {
    "BLL": "edgebll.learning:BLL",
    "SGD": "edgebll.learning:SGD",
    "AdamW": "edgebll.learning:AdamW",
    "BlockNetwork": "edgebll.learning.networks:BlockNetwork",
    "EdgebllError": "edgebll.kernel.errors:EdgebllError",
    "RunComparison": "edgebll.kernel.comparison.compare_runs:RunComparison",
    "RunEvent": "edgebll.kernel.runs.run_events:RunEvent",
    "RunResult": "edgebll.kernel.runs.run_result:RunResult",
    "compare": "edgebll.kernel.comparison.compare_runs:compare",
    "Task": "edgebll.kernel.tasks:Task",
    "make_task": "edgebll.kernel.tasks:make_task",
    "evaluate": "edgebll.data.evaluation:evaluate",
    "export": "edgebll_export.bundles.export_trained:export",
    "export_bundle": "edgebll_export.bundles.export_bundle:export_bundle",
    "load_block": "edgebll_devices.block_access:load_block",
    "make_network": "edgebll.learning.networks:make_network",
    "make_optimizer": "edgebll.learning:make_optimizer",
    "make_rule": "edgebll.learning:make_rule",
    "merge": "edgebll_export.merged.merge:merge",
    "open_bundle": "edgebll.kernel.bundle:open_bundle",
    "run": "edgebll_firmware_host.run.entry_points:run",
    "sample": "edgebll_firmware_host.run.text_entry_point:sample",
    "simulate": "edgebll_firmware_host.run.entry_points:simulate",
    "state_dict": "edgebll.learning.training.module_state:state_dict",
    "sweep": "edgebll.learning.reproduce.sweep:sweep",
    "train": "edgebll.learning.training.entry_point:train",
    "verify": "edgebll_export.bundles.verify_report:verify",
}


def __getattr__(name: str) -> Any:
    """Load a public name.

    Raises:
        AttributeError: there is none.
        MissingExtraError: what it needs is not installed.
    """
    if name not in _PLACES:
        raise AttributeError(f"module 'edgebll' has no attribute {name!r}")
    from edgebll.kernel.support.optional_imports import import_exporter, import_torch

    module, _, attribute = _PLACES[name].partition(":")
    if module.startswith("edgebll_export"):
        import_exporter(f"edgebll.{name}")
    elif module.startswith("edgebll.learning"):
        import_torch("train", f"edgebll.{name}")
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
