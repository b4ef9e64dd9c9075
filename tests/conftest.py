"""Set-up of all tests: one thread for numerical libraries, here and in the processes tests start.

Several processes of several threads each on a few cores make every one of them wait; and results must not depend on it.
Runs leave blank pictures of their curves and their timeline, whose drawing is most of what a short run takes. Tests that look
at them ask for `pictures`; what the documentation shows draws them too.
"""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator

import pytest

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before anything imports numpy or torch

# Where bundles lie that several workers need, see support/shared_bundles.py; the process that starts the workers makes it.
if "TESTS_SHELF" not in os.environ:
    os.environ["TESTS_SHELF"] = tempfile.mkdtemp(prefix="edgebll-shelf-")
    atexit.register(shutil.rmtree, os.environ["TESTS_SHELF"], ignore_errors=True)

# A shell starts what runs in the background deaf to Ctrl-C, and so are the processes that tests start and interrupt then.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module", autouse=True)
def _blank_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    from support.blank_picture import leave_blank  # behind the variables

    with pytest.MonkeyPatch.context() as patch:
        if "documentation" not in request.path.parts:
            leave_blank(patch)
        yield


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the test draw."""
    from support.blank_picture import draw

    draw(monkeypatch)
