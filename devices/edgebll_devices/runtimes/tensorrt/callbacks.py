"""What TensorRT calls while it works: a logger that keeps what matters, and a monitor that tells how far a build is.

Both must inherit from classes of the package, so they are made once that is loaded.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

_log = logging.getLogger(__name__)

_MAX_KEPT = 100


class Messages:
    """What TensorRT has said since `clear`: warnings and errors, each once, in order. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._warnings: dict[str, None] = {}
        self._errors: dict[str, None] = {}

    def take(self, severity: str, text: str) -> None:
        """Keep and log a message; severity as TensorRT names it."""
        line = " ".join(text.split())
        _log.debug("%s: %s", severity, line)
        with self._lock:
            kept = self._warnings if severity == "WARNING" else self._errors
            if severity in ("WARNING", "ERROR", "INTERNAL_ERROR") and len(kept) < _MAX_KEPT:
                kept[line] = None

    @property
    def warnings(self) -> list[str]:
        """Warnings so far."""
        with self._lock:
            return list(self._warnings)

    @property
    def errors(self) -> list[str]:
        """Errors so far."""
        with self._lock:
            return list(self._errors)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._warnings.clear()
            self._errors.clear()


def make_logger(trt: Any, messages: Messages) -> Any:
    """An ILogger that hands everything of note to `messages`."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # a class of a package that has no types
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            if severity <= trt.ILogger.INFO:  # the most severe is 0
                messages.take(severity.name, text)

    return Logger()


class BuildProgress:
    """How far a build is: the outermost phase and its steps. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, tuple[int, int]] = {}

    def start(self, phase: str, steps: int) -> None:
        """A phase of so many steps begins."""
        with self._lock:
            self._phases[phase] = (0, steps)

    def step(self, phase: str, step: int) -> None:
        """A step of a phase, from 0, is done."""
        with self._lock:
            steps = self._phases.get(phase, (0, 0))[1]
            self._phases[phase] = (step + 1, steps)

    def finish(self, phase: str) -> None:
        """A phase is over."""
        with self._lock:
            self._phases.pop(phase, None)

    def words(self) -> str:
        """E.g. "Timing Runners 3 of 40"; "" if nothing is known."""
        with self._lock:
            for phase, (done, steps) in self._phases.items():
                return f"{phase} {done} of {steps}" if steps > 1 else phase
        return ""


def make_monitor(trt: Any, progress: BuildProgress, halted: Callable[[], bool]) -> Any | None:
    """An IProgressMonitor that feeds `progress` and stops the build once `halted`; None before TensorRT 10."""
    base = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):  # type: ignore[misc, valid-type]  # a class of a package that has no types
        def __init__(self) -> None:
            super().__init__()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress.step(phase_name, step)
            return not halted()

    return Monitor()
