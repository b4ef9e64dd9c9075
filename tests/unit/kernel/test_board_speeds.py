"""Kinds of boards and links: numbers that are shipped are sound, and what is wrong is refused with one sentence."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.board_speeds import load_speeds, profile_folder, speeds_of
from edgebll.kernel.support.link_quantities import bytes_per_second, seconds, speed_and_delay


def test_every_kind_has_sources_and_says_what_is_a_guess() -> None:
    assert {"orin-nano", "orin-nx", "agx-orin-64gb", "thor-t5000", "raspberry-pi-4", "stm32f405"} <= load_speeds().keys()
    for speeds in load_speeds().values():
        assert speeds.sources
        assert speeds.unverified, "nobody timed a training step on any of them"
        assert speeds.cpu is not None
        assert [mode.speed for mode in speeds.mode] == sorted((mode.speed for mode in speeds.mode), reverse=True)


def test_the_middle_mode_of_an_orin_nano_does_most_with_a_joule() -> None:
    speeds = speeds_of("orin-nano")
    done = {mode.name: mode.speed / mode.busy_watts for mode in speeds.mode}
    assert 1.03 <= done["25W"] / done["15W"] <= 1.26
    assert 1.08 <= done["25W"] / done["MAXN_SUPER"] <= 1.35
    assert speeds.in_mode("").name == "MAXN_SUPER"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("gflops = 2089.0", "gflops = 0", "gflops of its gpu must be above 0, not 0"),
        ("gflops = 2089.0\n", "", "field 'gflops' is missing"),
        ("gigabytes_per_second = 102.0", 'gigabytes_per_second = "102"', "gigabytes_per_second: expected float"),
        ("reached = 0.3", "reached = 3", "reached must be above 0 and at most 1, not 3"),
        ("idle_watts = 4.0", "idle_watts = 40.0", "must draw at least 0 W idle and no less when busy"),
        ('"gpu: reached"', '"quickness"', "unverified names no field: quickness"),
        ('name = "orin-nano"', 'name = "nano"', "name and file must be the same"),
    ],
)
def test_wrong_numbers_are_refused(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    text = (profile_folder() / "speeds" / "orin-nano.toml").read_text()
    assert old in text
    (tmp_path / "orin-nano.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=sentence) as caught:
        load_speeds(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match=r"no board profile 'orin-nono'; did you mean orin-nano, "):
        speeds_of("orin-nono")
    with pytest.raises(ConfigError, match=r"has no power mode '20W', only MAXN_SUPER, 25W, 15W, 7W"):
        speeds_of("orin-nano").in_mode("20W")


def test_a_profile_without_a_number_for_what_computes(tmp_path: Path) -> None:
    shutil.copy(profile_folder() / "speeds" / "raspberry-pi-5.toml", tmp_path)
    (speeds,) = load_speeds(tmp_path).values()
    with pytest.raises(
        ConfigError, match="profile raspberry-pi-5 has no number for its GPU, which the runtime 'tensorrt' uses"
    ):
        speeds.rate_of("tensorrt")


def test_speeds_and_delays_of_links() -> None:
    found = [bytes_per_second("x", text) for text in ("8bit", "5Mbit", "1Gbit/s", "100kB", "1.5 MB/s", "54Mbps")]
    assert found == pytest.approx([1, 625e3, 125e6, 100e3, 1.5e6, 6.75e6])
    assert [seconds("x", text) for text in ("2s", "20ms", "150us", "0ms")] == pytest.approx([2, 0.02, 150e-6, 0])
    assert speed_and_delay("x", "5Mbit/20ms") == (625e3, 0.02)
    assert speed_and_delay("x", "5Mbit/s") == (625e3, 0.0)
    assert speed_and_delay("x", "5Mbit/s/1ms") == (625e3, 0.001)


@pytest.mark.parametrize("text", ["", "fast", "5", "5Mbits", "0bit", "-5Mbit", "5Mbit/", "5Mbit/20", "20ms", "1e9bit"])
def test_what_is_no_link(text: str) -> None:
    with pytest.raises(ConfigError, match=r"link must be a (speed such as 5Mbit|time such as 20ms)"):
        speed_and_delay("link", text)
