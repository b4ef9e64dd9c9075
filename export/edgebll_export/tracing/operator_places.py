"""Where in the network, and in which line of whose code, a traced operator stands, and where tracing failed."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any

import torch.fx.traceback as fx_traceback
from torch import fx, nn

from edgebll.kernel.own_code.error_place import is_theirs, site

BLOCK = "the block itself"
_MODULE, _LINE = "module", "line"
_OURS = ("edgebll", "edgebll_export")


class Places:
    """While open, every traced operator carries the path of the module it ran in.

    Args:
        modules: whose submodules give operators their place.

    Attributes:
        failed: the innermost module that an exception left, as in messages; None if none did.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.failed: str | None = None
        self._modules = modules
        self._entered: list[Any] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Places:
        for root in self._modules:
            for path, module in root.named_modules():
                self._handles.append(module.register_forward_pre_hook(self._enter(path)))
                self._handles.append(module.register_forward_hook(self._leave(path), always_call=True))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        for handle in self._handles:
            handle.remove()

    def _enter(self, path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            context = fx_traceback.annotate({_MODULE: path})
            context.__enter__()
            self._entered.append(context)

        return hook

    def _leave(self, path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            if self.failed is None and sys.exc_info()[0] is not None:
                self.failed = _layer(path)
            self._entered.pop().__exit__(None, None, None)

        return hook


@contextlib.contextmanager
def noted_line(frame: FrameType | None) -> Iterator[None]:
    """While open, traced operators carry the line of the user's code that `frame` was called from, if there is one."""
    line = _calling_line(frame)
    with fx_traceback.annotate({_LINE: line}) if line else contextlib.nullcontext():
        yield


def _calling_line(frame: FrameType | None) -> str | None:
    """The innermost frame that is not PyTorch's; none where that is one of ours, which runs no user's code."""
    while frame is not None:
        if is_theirs(frame.f_code.co_filename):
            return site(frame, frame.f_lineno)
        ours = frame.f_globals.get("__name__", "").partition(".")[0] in _OURS
        if ours and frame.f_code.co_name != "__torch_function__":
            return None
        frame = frame.f_back
    return None


def place(node: fx.Node) -> str:
    """Where an operator stands, for messages, e.g. "layer '0.bn1'" or "the gradient or update near layer '0.bn1'"."""
    own = _place_of(node)
    if own is not None:
        return own
    seen: set[fx.Node] = set()
    frontier = list(node.all_input_nodes)
    while frontier:
        found = [text for text in map(_place_of, frontier) if text not in (None, BLOCK)]
        if found:
            return f"the gradient or update near {found[-1]}"
        seen.update(frontier)
        frontier = [n for parent in frontier for n in parent.all_input_nodes if n not in seen]
    return "the local loss or the optimiser"


def _place_of(node: fx.Node) -> str | None:
    custom = node.meta.get("custom") or {}
    path, line = custom.get(_MODULE), custom.get(_LINE)
    if path is None:
        return line
    return with_line(_layer(path), line)


def with_line(layer: str | None, line: str | None) -> str:
    """Both, as far as they are known, e.g. "layer '0', in Net.forward, line 3 of net.py"."""
    return ", ".join(part for part in (layer, line) if part is not None)


def _layer(path: str) -> str:
    return f"layer {path!r}" if path else BLOCK
