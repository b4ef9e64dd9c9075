"""The page on plans has the numbers of the code: whoever follows it writes plans that boards read."""

from __future__ import annotations

import re
from typing import Any

from support.documents import Document

from edgebll.kernel.microcontroller.plan_format import RANKS
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, ElementKernel, GatherKernel, GemmKernel, ReduceKernel
from edgebll.kernel.microcontroller.plan_parts import Code, PlanDtype, PortRole, Region, StepGraph

PAGE = Document("docs/reference/microcontroller-plan.md").text
KERNELS: dict[str, Any] = {
    "ELEMENT": ElementKernel,
    "REDUCE": ReduceKernel,
    "GEMM": GemmKernel,
    "CONV": ConvKernel,
    "GATHER": GatherKernel,
}


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\| \d.*$", section, re.MULTILINE)]


def test_opcodes_of_element_programs() -> None:
    said: dict[int, str] = {}
    for numbers, names, *_ in rows("Element programs"):
        said.update(zip(map(int, numbers.split(", ")), names.split(", "), strict=True))
    assert said == {code.value: code.name for code in Code}


def test_opcodes_and_loops_of_kernels() -> None:
    said = {name: (int(opcode), loops) for opcode, name, loops, _, _ in (row for row in rows("Kernels") if len(row) == 5)}
    assert {name: opcode for name, (opcode, _) in said.items()} == {name: kernel.OPCODE for name, kernel in KERNELS.items()}
    for opcode, loops in said.values():
        low, high = RANKS[opcode]
        assert loops == (str(low) if low == high else f"{low} to {high}")


def test_roles_dtypes_regions_and_graphs() -> None:
    for role in PortRole:
        assert re.search(rf"\b{role.value} {role.name.lower()}\b", PAGE)
    for dtype in PlanDtype:
        assert re.search(rf"\b{dtype.value} {dtype.name.lower()}\b", PAGE)
    assert f"regions: {', '.join(f'{region.value} {region.name.lower()}' for region in Region)}" in PAGE
    assert f"graph: {', '.join(f'{graph.value} {graph.name.lower()}' for graph in StepGraph)}" in PAGE
