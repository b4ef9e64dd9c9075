"""An HTTP server on loopback that serves bytes with ranges, and misbehaves on request."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class FileServer:
    """What the server serves and how it misbehaves.

    Attributes:
        files: path without "/" -> content. cut_after: close the connection after so many bytes, once for each entry.
        status: answer this to everything. ranges: whether Range is understood. stalls: never answer.
        length: says this in the place of how long a file is. requests: (path, Range header) of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    status: int | None = None
    ranges: bool = True
    stalls: bool = False
    length: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """Serve on a free port of loopback until the end of the block."""
    state = FileServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, state)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: http.server.BaseHTTPRequestHandler, state: FileServer) -> None:
    path, wanted = handler.path.lstrip("/"), handler.headers.get("Range")
    state.requests.append((path, wanted))
    if state.stalls:
        state.over.wait(10)
        return
    if state.status is not None or path not in state.files:
        handler.send_error(state.status or 404)
        return
    content = state.files[path]
    start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and state.ranges else 0
    if start >= len(content) and start:
        handler.send_error(416)
        return
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", state.length or str(len(content) - start))
    handler.end_headers()
    end = start + state.cut_after.pop(0) if state.cut_after else len(content)
    handler.wfile.write(content[start:end])
