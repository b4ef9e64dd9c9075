"""CUDA on the host's memory, fresh for every test, which must free everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.fake_cudart import FakeCudart, build_fake_cudart


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the compiled library."""
    return build_fake_cudart(tmp_path_factory.mktemp("cudart"))


@pytest.fixture
def cudart(library: str) -> Iterator[FakeCudart]:
    fake = FakeCudart(library)
    fake.reset()
    before = fake.live
    yield fake
    assert fake.live == before, "something was not freed"
