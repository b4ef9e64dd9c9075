"""The folder of the C library: what PlatformIO, Arduino and Zephyr document of their files, and a build by CMake."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.c_runtime import compiler
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.spec.firmware_profiles import PROFILES
from edgebll.kernel.version import __version__
from edgebll_devices.microcontroller.c_package import write_c_package

SEMANTIC = r"\d+\.\d+\.\d+"
#: https://docs.platformio.org/en/latest/manifests/library-json
PLATFORMIO = {
    *("$schema", "name", "version", "description", "keywords", "homepage", "repository", "authors", "license", "frameworks"),
    *("platforms", "headers", "examples", "dependencies", "export", "scripts", "build"),
}
PLATFORMIO_BUILD = {
    *("extraScript", "flags", "unflags", "includeDir", "srcDir", "srcFilter", "libArchive", "libLDFMode"),
    *("libCompatMode", "builder"),
}
#: https://arduino.github.io/arduino-cli/latest/library-specification/
ARDUINO = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"}
ARDUINO_OPTIONAL = {"depends", "dot_a_linkage", "includes", "precompiled", "ldflags", "license", "email"}
CATEGORIES = {
    *("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing", "Data Storage"),
    *("Data Processing", "Other"),
}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_c_package(tmp_path_factory.mktemp("lib"))


def test_platformio_finds_what_it_documents(package: Path) -> None:
    manifest = json.loads((package / "library.json").read_text())
    assert set(manifest) <= PLATFORMIO
    assert set(manifest["build"]) <= PLATFORMIO_BUILD
    assert re.fullmatch(r"[a-z0-9-]{1,50}", manifest["name"])
    assert re.fullmatch(SEMANTIC, manifest["version"])
    assert manifest["version"] == __version__
    assert 0 < len(manifest["description"]) <= 255
    assert all(re.fullmatch(r"[a-z0-9\- ]{1,50}", word) for word in manifest["keywords"])
    assert all((package / manifest["build"]["includeDir"] / header).is_file() for header in manifest["headers"])
    assert list((package / manifest["build"]["srcDir"]).glob("*.c"))


def test_arduino_finds_what_it_documents(package: Path) -> None:
    lines = (package / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    assert len(fields) == len(lines)
    assert ARDUINO <= set(fields) <= ARDUINO | ARDUINO_OPTIONAL
    assert {key for key, value in fields.items() if not value} == {"url"}, "Arduino wants the key, and no page is public"
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.\-]{0,62}", fields["name"])
    assert fields["version"] == __version__
    assert fields["category"] in CATEGORIES
    assert (package / "src" / fields["includes"]).is_file()
    assert not any(path.suffix in (".c", ".h") for path in package.iterdir()), "what is beside src would not be compiled"


def test_zephyr_finds_what_it_documents(package: Path) -> None:
    """A module's name, and where its CMakeLists.txt and Kconfig are, by paths from its root."""
    text = (package / "zephyr" / "module.yml").read_text()
    found = re.fullmatch(r"name: (\w+)\nbuild:\n  cmake: (\S+)\n  kconfig: (\S+)\n", text)
    assert found is not None
    assert found[1] == package.name
    assert (package / found[2] / "CMakeLists.txt").is_file()
    assert "config EDGEBLL\n" in (package / found[3]).read_text()
    assert re.findall(r"config EDGEBLL_(\w+)", (package / found[3]).read_text()) == ["SMALL", "EXACT", "FAST", "SPARSE"]
    assert "if(CONFIG_EDGEBLL)" in (package / "CMakeLists.txt").read_text()


@pytest.mark.parametrize("profile", ["", *PROFILES, "quick"])
def test_cmake_builds_a_program_with_it(package: Path, tmp_path: Path, profile: str) -> None:
    cmake = shutil.which("cmake")
    if cmake is None:
        pytest.skip("no CMake here: the build by it is not tested (Debian: apt-get install cmake)")
    compiler()
    (tmp_path / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.13)\nproject(firmware C)\nadd_subdirectory({package} edgebll)\n"
        "add_executable(firmware main.c)\ntarget_link_libraries(firmware PRIVATE edgebll)\n"
    )
    body = "return edgebll_error_text(EDGEBLL_EMPTY)[0] == 'n' ? EDGEBLL_PROFILE : 0;"
    (tmp_path / "main.c").write_text(f'#include "edgebll_store.h"\nint main(void)\n{{\n    {body}\n}}\n')
    chosen = [f"-DEDGEBLL_PROFILE={profile}", "-DEDGEBLL_SPARSE=ON"] if profile else []
    for words in (["-S", str(tmp_path), "-B", str(tmp_path / "build"), *chosen], ["--build", str(tmp_path / "build")]):
        done = subprocess.run([cmake, *words], capture_output=True, text=True, timeout=120, check=False)
        if profile == "quick":
            assert "EDGEBLL_PROFILE must be small, exact or fast, not 'quick'" in done.stderr
            return
        assert done.returncode == 0, done.stdout + done.stderr
    said = subprocess.run([str(tmp_path / "build" / "firmware")], check=False).returncode
    assert said == PROFILES.index(profile or "exact") + 1


def fused(source: Path, *macros: str) -> int:
    """Fused operations in what GCC makes of a source for processors that have them, by its own defaults."""
    machine = subprocess.run([compiler(), "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    flags = ["-std=gnu11", "-O2", *macros, *(["-mfma"] if machine.startswith("x86_64") else [])]
    command = [compiler(), *flags, "-S", f"-I{source.parent}", str(source), "-o", "-"]
    assembly = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return len(re.findall(r"\tv?fn?m(?:add|sub|la|ls)", assembly))


def test_only_fast_sources_fuse_products_with_sums_whatever_the_flags(package: Path) -> None:
    """GCC does by default; Arduino gives a library no flags of its own."""
    for path in (package / "src").glob("*.c"):
        assert fused(path) == fused(path, "-DEDGEBLL_SMALL") == fused(path, "-ffp-contract=fast") == 0, path
    for name in ("element.c", "numbers.c", "sums_tiled.c", "sums_sliding.c"):
        assert fused(package / "src" / name, "-DEDGEBLL_FAST", "-ffp-contract=off") > 0, name


def test_an_earlier_one_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    arguments = ["firmware", "library", "--out", str(tmp_path / "lib")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (tmp_path / "lib" / "edgebll" / "src" / "left_over.c").write_text("int left_over;\n")
    again = CliRunner().invoke(app, [*arguments, "--json"])
    assert json.loads(again.stdout) == {"path": str(tmp_path / "lib" / "edgebll")}
    assert not (tmp_path / "lib" / "edgebll" / "src" / "left_over.c").exists()
    assert [path.name for path in (tmp_path / "lib").iterdir()] == ["edgebll"]
    foreign = tmp_path / "other" / "edgebll"
    foreign.mkdir(parents=True)
    (foreign / "mine.txt").write_text("mine")
    refused = CliRunner().invoke(app, ["firmware", "library", "--out", str(tmp_path / "other")])
    assert refused.exit_code == 2
    assert "is there and is not edgebll's C library" in f"{refused.exception} {refused.output}"
    assert [path.name for path in foreign.iterdir()] == ["mine.txt"]
