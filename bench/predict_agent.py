"""An agent whose blocks take a set time: `python bench/predict_agent.py SECONDS serve ...`; the rest is as for edgebll-board.

Real steps on a machine of few cores would wait for each other; sleeping boards do not, and all else about them is real.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from edgebll_devices.commands.main import main
from edgebll_devices.runtimes.onnxruntime_cpu import OrtBlock

EVAL_SHARE = 1 / 3


def paced(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    """The same function, which takes at least so long."""

    def call(*arguments: Any, **options: Any) -> Any:
        until = time.perf_counter() + seconds
        result = function(*arguments, **options)
        time.sleep(max(0.0, until - time.perf_counter()))
        return result

    return call


if __name__ == "__main__":
    step_s = float(sys.argv.pop(1))
    OrtBlock.train = paced(OrtBlock.train, step_s)  # type: ignore[method-assign]
    OrtBlock.evaluate = paced(OrtBlock.evaluate, EVAL_SHARE * step_s)  # type: ignore[method-assign]
    main()
