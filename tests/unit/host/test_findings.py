"""What a preflight says of what it found."""

from __future__ import annotations

import pytest

from edgebll.kernel.wire import Reached, Surveyed
from edgebll_firmware_host.fleet.preflight import THIS_HOST, Checked
from edgebll_firmware_host.fleet.preflight_findings import PreflightError, facts, notes, problems, refuse
from edgebll_firmware_host.inventory import BoardEntry

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
ENTRIES = {"a": BoardEntry("a", "tcp://127.0.0.1:7", threads=4), "b": BoardEntry("b", "tcp://10.0.0.2:7", KEY)}


def board(disk: int = 1 << 40, **versions: str) -> Surveyed:
    return Surveyed("run", 0.0, disk, 0.5, versions)


def checked(*reached: tuple[str, Reached], skew_s: float = 0.0, **boards: Surveyed) -> Checked:
    known = boards or {"a": board(), "b": board()}
    found = {(source, answer.board): answer for source, answer in reached}
    return Checked(known, dict.fromkeys(known, skew_s), found)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    good = Reached("run", "b", "tcp://10.0.0.2:8", "10.0.0.2", 0.001, 1e6)
    found = checked(("a", good))
    assert problems(found, ENTRIES) == []
    assert notes(found, 5_000_000, 5.0) == []
    refuse([])


def test_the_first_problem_is_told_and_how_many_more() -> None:
    cut = Reached("run", "b", "tcp://10.0.0.2:8", problem="no answer within 3 s")
    found = checked(("a", cut), (THIS_HOST, cut))
    with pytest.raises(
        PreflightError, match=r"^this host cannot reach board b at tcp://10\.0\.0\.2:8: no answer within 3 s \(1 more: see"
    ):
        refuse(problems(found, ENTRIES))


def test_a_loopback_address_is_explained_to_who_is_elsewhere_only() -> None:
    wrong = Reached("run", "a", "tcp://127.0.0.1:8", problem="nothing listens there")
    (elsewhere,) = problems(checked(("b", wrong)), ENTRIES)
    assert elsewhere.startswith(
        "board b cannot reach board a at tcp://127.0.0.1:8: nothing listens there; that is an address of"
    )
    (here,) = problems(checked((THIS_HOST, wrong)), ENTRIES)
    assert here == "this host cannot reach board a at tcp://127.0.0.1:8: nothing listens there"


def test_boards_without_a_word_or_without_room_are_problems() -> None:
    found = checked(a=board(disk=1000), b=board())
    found.silent = {"c"}
    silent, full = problems(found, ENTRIES)
    assert "board c answers, but has not said how it is" in silent
    assert "board a has 0 KiB left on the disk of its state folder; free some, or serve with another --state" in full


def test_slow_links_wrong_clocks_old_boards_and_unlike_versions_are_noted() -> None:
    slow = Reached("run", "b", "tcp://10.0.0.2:8", "10.0.0.2", 0.01, 250_000.0)
    found = checked(("a", slow), skew_s=-3600.0, a=board(onnxruntime="1.22"), b=board(onnxruntime="1.23"))
    found.older = {"c"}
    older, first, second, link, versions = notes(found, 8 << 20, 5.0)
    assert older.startswith("board c has an older edgebll")
    assert first == "the clock of board a is 3600 s behind this host's; times in its log are off by that"
    assert second.startswith("the clock of board b is 3600 s behind")
    assert link == (
        "the link from board a to board b is slow: 8.0 MiB, as much as may go over it in one piece, take 34 s at 2.0 Mbit/s; "
        "the run goes on at that pace"
    )
    assert versions == "boards have different versions of onnxruntime (a: 1.22, b: 1.23): blocks that move may get other bits"


def test_all_of_it_is_there_for_programs() -> None:
    good = Reached("run", "b", "tcp://b:8", "10.0.0.2", 0.001, 1e6)
    cut = Reached("run", "a", "tcp://127.0.0.1:8", problem="no")
    found = facts(checked(("a", good), (THIS_HOST, cut)), ENTRIES)
    assert found["links"] == [
        {"from": "host", "to": "a", "endpoint": "tcp://127.0.0.1:8", "address": "", "problem": "no"},
        {
            "from": "a",
            "to": "b",
            "endpoint": "tcp://b:8",
            "address": "10.0.0.2",
            "round_trip_seconds": 0.001,
            "bytes_per_second": 1e6,
        },
    ]
    assert found["boards"]["a"]["threads"] == 4
