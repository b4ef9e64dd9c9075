"""Models of torchvision and timm by their names, where those are installed; and what is said where they are not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError, MissingExtraError
from edgebll.learning.networks import make_network, rebuild_network
from edgebll.learning.networks.cut_preview import cut_preview

#: What this project asks of the two packages, as they document it: `list_models`, and `get_model` or `create_model`.
TORCHVISION = """
from torch import nn

def list_models(module=None):
    return ["mobilenet_v2", "resnet18"]

def get_model(name, weights=None, num_classes=1000, width_mult=1.0):
    assert name in list_models() and weights is None
    width = int(8 * width_mult)
    features = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU(), nn.Conv2d(width, width, 3, 2, 1), nn.ReLU())
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, num_classes))
"""
TIMM = TORCHVISION.replace("get_model(name, weights=None,", "create_model(name, in_chans=3,").replace(
    " and weights is None", ""
)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages with the interfaces of the two; the real ones are tried by tests/soak/model_zoo.py."""
    for name, text in (("torchvision", TORCHVISION), ("timm", TIMM.replace("Conv2d(3,", "Conv2d(in_chans,"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text if name == "timm" else "")
        (tmp_path / name / "models.py").write_text(text)
        (tmp_path / f"{name}-1.2.dist-info").mkdir()
        (tmp_path / f"{name}-1.2.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    for module in ("torchvision", "torchvision.models", "timm"):
        monkeypatch.delitem(sys.modules, module, raising=False)


@pytest.mark.parametrize(("name", "channels"), [("torchvision:mobilenet_v2", 3), ("timm:resnet18", 1)])
def test_a_model_goes_by_its_packages_name(packages: None, name: str, channels: int) -> None:
    shape = (channels, 16, 16)
    network = make_network(name, num_classes=5, input_shape=shape, seed=0, options={"width_mult": "0.5"})
    assert network.description["name"] == name
    assert network.description["options"] == {"width_mult": 0.5, "num_blocks": 3, "split": "0.1,2"}
    assert network.description["code"] == {"reference": name, "files": {}, "package": f"{name.partition(':')[0]} 1.2"}
    again = rebuild_network(network.description, 5, shape)
    assert [block.parameters for block in cut_preview(again)] == [4 * (9 * channels + 1), 4 * (9 * 4 + 1), 25]


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("torchvision:mobilenet_v3", (3, 8, 8), "torchvision has no model 'mobilenet_v3'; near are mobilenet_v2"),
        ("timm:what", (3, 8, 8), "timm has no model 'what'; it has 2 others"),
        ("torchvision:resnet18", (1, 8, 8), "torchvision's models take images of 3 channels, not 1; choose other data"),
        ("timm:resnet18", (64,), "resnet18 takes images (channels, height, width), not samples of shape (64,)"),
    ],
)
def test_what_does_not_fit_is_one_sentence(packages: None, name: str, shape: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_network(name, num_classes=5, input_shape=shape, seed=0)
    assert str(caught.value).startswith(sentence)


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"^models of timm need timm, which is not installed: pip install timm$"):
        make_network("timm:resnet18", num_classes=5, input_shape=(3, 8, 8), seed=0)
