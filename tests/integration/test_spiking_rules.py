"""Rules on spiking networks over boards: the same bits on any number of them, and after their host was killed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.pipelines import HostProcess, invoke, records, summary
from support.rules import SPIKING_FORMS, agents, check_rule
from support.slow import slow_after

from edgebll.learning import BLL, SGD
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle
from edgebll_firmware_host.inventory import Cluster

#: The first in `make test`. Every rule on both networks: `python -m support.rules_table spiking-mlp spiking-conv` in tests/.
CASES = [*zip(SPIKING_FORMS, ("spiking-mlp", "spiking-conv"), strict=True), ("backprop", "spiking-mlp")]


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Cluster]]:
    with agents(tmp_path_factory.mktemp("boards")) as made:
        yield made


@pytest.mark.parametrize(("rule", "network"), slow_after(1, CASES))
def test_it_exports_verifies_and_gives_the_same_bits_on_boards(
    rule: str, network: str, clusters: dict[int, Cluster], tmp_path: Path
) -> None:
    check_rule(rule, network, clusters, tmp_path)


@pytest.mark.slow
def test_a_killed_host_is_resumed_with_the_same_bits(tmp_path: Path) -> None:
    options = {"width": 16, "depth": 2, "time_steps": 4, "recurrent": True}
    network = make_network("spiking-mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0, options=options)
    export_bundle(network, rule=BLL(), optimizer=SGD(), batch_size=16, path=tmp_path / "bundle")
    epochs = ["--epochs", "4"]
    invoke("simulate", tmp_path / "bundle", "--boards", 0, "--data", "digits", *epochs, "--out", tmp_path / "plain")
    run = tmp_path / "run"
    with HostProcess("simulate", tmp_path / "bundle", run, *epochs, "--boards", "2", "--snapshot-every", "20") as host:
        host.await_epoch()
        host.process.send_signal(signal.SIGKILL)
        host.end()
    assert not (run / "summary.json").exists()
    invoke("simulate", "--resume", run)
    assert summary(run)["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
    assert records(run) == records(tmp_path / "plain")
