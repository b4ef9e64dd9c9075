"""`edgebll export-step`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code.importing import import_file, import_named, named_in
from edgebll.kernel.support.optional_imports import import_exporter

if TYPE_CHECKING:
    from edgebll_export import StepExport
    from edgebll_export.functions.step_check import Comparison


def export_step(
    function: Annotated[str, typer.Argument(metavar="MODULE:FUNCTION", help="The function, e.g. train:step.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    example: Annotated[
        str | None,
        typer.Option(
            metavar="[MODULE:]FUNCTION",
            help="A function that returns example arguments. [default: the attribute `example` of the function]",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str, typer.Option(help="What runs the graph: onnx, tensorrt-8.5, -8.6, -10 or -11, or microcontroller.")
    ] = "onnx",
    opset: Annotated[int | None, typer.Option(help="Opset of the target onnx, at least 17. [default: 17]")] = None,
    check: Annotated[bool, typer.Option(help="Compare ONNX Runtime with PyTorch on the example.")] = True,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest relative error of any output. [default: 1e-4, 5e-3 where float16 is inside]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Turn a pure PyTorch function, such as a whole training step, into one plain ONNX graph.

    MODULE is imported from the working directory or from what is installed; FILE.py stands for a file. The function maps
    tensors, or dicts, lists, tuples and dataclasses of tensors, to the same; gradients and updates are part of the graph. The
    example returns a tuple of positional arguments, a dict of named ones, or the only argument. Inputs and outputs of the
    graph are named by argument and key: params.conv.weight.
    """
    import_exporter("exporting")
    from edgebll_export import export_step, make_target

    chosen = make_target(target, opset)
    call = load(function)
    if not callable(call):
        raise ConfigError(f"{function} is a {type(call).__name__}, not a function")
    arguments = _example(call, function, example)
    result = export_step(call, arguments, out, target=chosen, check=check, tolerance=tolerance)
    if json:
        print_json({"file": str(out), "target": chosen.name, **_tensors(result)})
        return
    _report(result, out, check)


def load(name: str) -> Any:
    """What MODULE:NAME or FILE.py:NAME stands for, with the working directory first among the places of modules.

    Raises:
        ConfigError: the text has another form, there is no such module, file or name, or importing it fails.
    """
    where, colon, path = name.rpartition(":")
    if not (colon and where and path):
        raise ConfigError(
            f"give a function as MODULE:FUNCTION or FILE.py:FUNCTION, e.g. train:step for step in train.py, not {name!r}"
        )
    is_file = where.endswith(".py") or "/" in where
    return named_in(import_file(Path(where)) if is_file else import_named(where), path, where)


def _example(function: Any, name: str, example: str | None) -> Any:
    if example is None:
        made = getattr(function, "example", None)
        if made is None:
            attribute = f"{name.partition(':')[2]}.example"
            raise ConfigError(f"{name} needs example arguments; give --example FUNCTION, or set {attribute}")
        example = f"{name}.example"
    else:
        example = example if ":" in example else f"{name.partition(':')[0]}:{example}"
        made = load(example)
    if not callable(made):
        return made
    from edgebll_export.tracing.user_code import running

    with running(f"the example {example} fails"):
        return made()


def _tensors(result: StepExport) -> dict[str, Any]:
    return {
        "inputs": [_row(value) for value in result.model.graph.input],
        "outputs": [{**_row(value), **_check_of(result, value.name)} for value in result.model.graph.output],
        "nodes": len(result.model.graph.node),
        "unused": list(result.unused),
        "fixed": dict(result.fixed),
    }


def _check_of(result: StepExport, name: str) -> dict[str, Any]:
    by_rounding = result.comparison.by_rounding.get(name, 0) if result.errors else None
    return {"max_rel_error": result.errors.get(name), "elements_by_rounding": by_rounding}


def _row(value: Any) -> dict[str, Any]:
    from onnx import helper

    kind = value.type.tensor_type
    shape = [dimension.dim_value for dimension in kind.shape.dim]
    return {"name": value.name, "dtype": str(helper.tensor_dtype_to_np_dtype(kind.elem_type)), "shape": shape}


def _report(result: StepExport, out: Path, check: bool) -> None:
    tensors = _tensors(result)
    rows = [
        (side, row["name"], row["dtype"], "x".join(map(str, row["shape"])) or "scalar", _error_cell(row))
        for side in ("input", "output")
        for row in tensors[side + "s"]
    ]
    title = f"{out}: {tensors['nodes']} nodes, opset {result.model.opset_import[0].version}"
    print_table(("", "tensor", "dtype", "shape", "max rel error"), rows, title=title, right=("max rel error",))
    for name, value in result.fixed.items():
        say(f"edgebll: {name} = {value!r} is a constant of the graph; pass a tensor to make it an input")
    for name in result.unused:
        say(f"edgebll: no result depends on {name}, so it is no input of the graph")
    if check:
        say(f"edgebll: ONNX Runtime agrees with PyTorch; {_agreement(result.comparison)}")


def _agreement(comparison: Comparison) -> str:
    parts = []
    errors = {name: error for name, error in comparison.errors.items() if name not in comparison.by_rounding}
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        parts.append(f"largest relative error {errors[worst]:.2g}, of {worst}")
    if comparison.by_rounding:
        count, outputs = sum(comparison.by_rounding.values()), ", ".join(comparison.by_rounding)
        off = f"{count} elements of {outputs} are off by more than {comparison.tolerance:g}"
        parts.append(f"{off}, but no further than rounding may move PyTorch's")
    return "; ".join(parts)


def _error_cell(row: dict[str, Any]) -> str:
    error = row.get("max_rel_error")
    if error is None:
        return ""
    return f"{error:.2e}, rounding" if row["elements_by_rounding"] else f"{error:.2e}"
