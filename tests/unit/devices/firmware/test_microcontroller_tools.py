"""Whether microcontrollers can be emulated here: said with the packages, and never passed over in continuous integration."""

from __future__ import annotations

import pytest
from support import microcontroller_tools
from support.documents import ROOT
from support.microcontroller_tools import PROGRAMS, VARIABLE, advice, emulated_boards, missing_packages


def test_what_is_missing_is_named_by_its_package() -> None:
    assert missing_packages(lambda _: None) == [*PROGRAMS.values(), "libnewlib-arm-none-eabi"]
    assert advice(["qemu-system-arm"]).endswith("sudo apt-get install qemu-system-arm")


def test_a_compiler_without_its_library_is_not_enough() -> None:
    silent = dict.fromkeys(PROGRAMS, "/bin/echo")  # says "-print-file-name=nano.specs", as a compiler without it says a name
    assert missing_packages(silent.get) == ["libnewlib-arm-none-eabi"]


@pytest.mark.parametrize(("value", "skipped"), [("", True), ("required", False)])
def test_tests_are_passed_over_only_where_they_may_be(monkeypatch: pytest.MonkeyPatch, value: str, skipped: bool) -> None:
    monkeypatch.setattr(microcontroller_tools, "missing_packages", lambda: ["qemu-system-arm"])
    monkeypatch.setenv(VARIABLE, value)
    assert emulated_boards().args == (skipped,)


def test_continuous_integration_installs_them_and_insists() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    assert f"export {VARIABLE}=required" in lines
    assert lines.index("make mcu-tools") < lines.index("make test")
