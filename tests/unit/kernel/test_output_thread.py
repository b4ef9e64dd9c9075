"""Output to a reader who does not read, comes back, or is slow; with real pipes and a real terminal."""

from __future__ import annotations

import os
import re
import select
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.terminals import Terminal, full_pipe

from edgebll.kernel.support.output_thread import OutputThread

LINES = [f"line {number:04d}\n".encode() for number in range(2000)]
NOTE = re.compile(rb"\[(\d+) lines? w(?:as|ere) dropped here: nobody read them\]\n")


def read_all(reader: int, writer: int, thread: OutputThread) -> bytes:
    """Read a pipe until nothing more is written to it, and close it."""
    with ThreadPoolExecutor(1) as pool, open(reader, "rb", closefd=False) as stream:
        taken = pool.submit(stream.read)
        assert thread.settle(20.0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), writer)
        return taken.result(20.0)


def test_nobody_waits_for_a_reader_and_he_is_told_what_he_missed() -> None:
    with full_pipe() as (reader, writer):
        thread = OutputThread(writer, keep_bytes=200)
        started = time.thread_time()
        for line in LINES:
            thread.write(line)
        assert time.thread_time() - started < 5.0
        shown = read_all(reader, writer, thread).split(b".\n")[-1]
    (missed,) = NOTE.findall(shown)
    seen = NOTE.sub(b"", shown).splitlines(keepends=True)
    assert seen[-20:] == LINES[-20:], "the newest are kept"
    assert seen[:-20] in ([], LINES[:1]), "the first may have been on its way"
    assert int(missed) == len(LINES) - len(seen)


def test_only_the_first_write_waits_at_all() -> None:
    with full_pipe() as (reader, writer):
        thread = OutputThread(writer, keep_bytes=200)
        thread.write(LINES[0])
        waited = threading.Event()
        thread._changed.wait_for = lambda *_: waited.set()  # type: ignore[method-assign,assignment]
        for line in LINES:
            thread.write(line)
        assert not waited.is_set()
        del thread._changed.wait_for
        read_all(reader, writer, thread)


def test_results_are_kept_whole() -> None:
    with full_pipe() as (reader, writer):
        thread = OutputThread(writer)
        for line in LINES:
            thread.write(line)
        assert not thread.settle(0.05)
        shown = read_all(reader, writer, thread)
    assert shown.split(b".\n")[-1] == b"".join(LINES)


def test_a_reader_who_is_slow_is_waited_for_longer_than_one_who_does_not_read() -> None:
    reader, writer = os.pipe()
    thread = OutputThread(writer)
    with ThreadPoolExecutor(1) as pool, open(reader, "rb", buffering=0) as stream, open(writer, "wb"):
        size, taken = 1 << 18, 0
        thread.write(bytes(size))
        started = time.monotonic()
        settled = pool.submit(thread.settle, 1.5)
        while time.monotonic() < started + 2.5:
            taken += len(stream.read(4096))
            select.select([], [], [], 0.1)
        assert not settled.done(), "it has been waiting for longer than that"
        while taken < size:
            taken += len(stream.read(size))
        assert settled.result(20.0)


def test_lines_on_two_streams_of_one_terminal_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebll.kernel.support.output_thread._WAIT_S", 20.0)
    reader, writer = os.pipe()
    threads = [OutputThread(writer, 1000), OutputThread(writer)]
    with open(reader, "rb", buffering=0) as stream, open(writer, "wb"):
        for number, line in enumerate(LINES[:200]):
            threads[number % 2].write(line)
        assert stream.read(10_000) == b"".join(LINES[:200])


def test_half_a_line_on_a_terminal_makes_way_for_the_word_about_lines_dropped() -> None:
    with Terminal() as terminal:
        terminal.stop()
        thread = OutputThread(terminal.inside, keep_bytes=60)
        thread.write(b"\r\x1b[2Ka bar")
        while thread._waiting:
            os.sched_yield()
        for line in LINES[:100]:
            thread.write(line)
        thread.settle(0.05)
        terminal.go_on()
        shown = terminal.read_until(lambda shown: shown.endswith(b"line 0099\r\n"))
    assert b"a bar\r\x1b[K[94 lines were dropped here: nobody read them]\r\nline 0094\r\n" in shown


def test_what_ends_without_its_thread_is_written_all_the_same() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as stream:
        with open(writer, "wb"):
            thread = OutputThread(writer)
            thread.write(b"early\n")
            thread.end(1.0)
            thread.write(b"late\n")
        assert stream.read() == b"early\nlate\n"


def test_an_end_that_nobody_reads_is_not_waited_for() -> None:
    with full_pipe() as (reader, writer):
        thread = OutputThread(writer)
        thread.write(b"early\n")
        thread.end(0.05)
        thread.write(b"nor is this\n")
        assert read_all(reader, writer, thread).endswith(b".\nearly\n")


def test_where_there_are_no_threads_left_it_writes_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    reader, writer = os.pipe()
    with open(reader, "rb") as stream:
        with open(writer, "wb"):
            OutputThread(writer).write(b"a line\n")
        assert stream.read() == b"a line\n"
