"""Common models for edge devices from torchvision and timm, at sizes that suit a check; both packages are optional here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import nn

CLASSES, SIDE = 5, 64
#: Operators that torchvision describes when imported; their compiled part does not load beside another build of torch.
_DETECTION = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_definitions: list[torch.library.Library] = []


@dataclass(frozen=True)
class Model:
    """A model of a package.

    Attributes:
        package: "torchvision" or "timm". make: builds it from the package, for CLASSES classes. side: pixels of an image.
        blocks: how many it is cut into.
    """

    package: str
    make: Callable[[ModuleType], nn.Module]
    side: int = SIDE
    blocks: int = 3


def load(package: str) -> ModuleType | None:
    """The package with its models; None if it is not installed."""
    if importlib.util.find_spec(package) is None:
        return None
    if importlib.util.find_spec("torchvision") is not None and not _definitions:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in _DETECTION:
            if not hasattr(torch.ops.torchvision, name):
                library.define(name + _SCHEMA)
        _definitions.append(library)
    return importlib.import_module("torchvision.models" if package == "torchvision" else "timm")


def build(model: Model, package: ModuleType) -> nn.Module:
    """The model with seeded weights and without dropping anything at random, which no two programs do alike."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = model.make(package)
    if hasattr(module, "drop_rate"):
        setattr(module, "drop_rate", 0.0)  # noqa: B010
    for layer in module.modules():
        if isinstance(layer, nn.Dropout) or type(layer).__name__ == "StochasticDepth":
            setattr(layer, "p", 0.0)  # noqa: B010
        elif type(layer).__name__ == "DropPath":
            setattr(layer, "drop_prob", 0.0)  # noqa: B010
    return module


def _vision(name: str, **options: Any) -> Model:
    return Model("torchvision", lambda models: models.get_model(name, weights=None, num_classes=CLASSES, **options))


def _timm(name: str, side: int = SIDE, **options: Any) -> Model:
    return Model("timm", lambda timm: timm.create_model(name, num_classes=CLASSES, **options), side)


def _convnext(models: ModuleType) -> nn.Module:
    setting = models.convnext.CNBlockConfig
    return models.ConvNeXt([setting(16, 32, 1), setting(32, 64, 2), setting(64, None, 1)], num_classes=CLASSES)


def _vit(models: ModuleType) -> nn.Module:
    return models.VisionTransformer(SIDE, 16, 4, 4, 64, 128, num_classes=CLASSES)


def _swin(models: ModuleType, version: int) -> nn.Module:
    parts = {
        "block": models.swin_transformer.SwinTransformerBlockV2,
        "downsample_layer": models.swin_transformer.PatchMergingV2,
    }
    sizes = ([4, 4], 24, [2, 2], [2, 4], [4, 4])
    return models.SwinTransformer(*sizes, num_classes=CLASSES, **(parts if version == 2 else {}))


def _densenet(models: ModuleType) -> nn.Module:
    return models.DenseNet(8, (2, 3, 2), 16, num_classes=CLASSES)


def _poolformer(timm: ModuleType) -> nn.Module:
    return timm.models.metaformer.MetaFormer(num_classes=CLASSES, depths=(1, 1, 2, 1), dims=(16, 32, 48, 64))


def _mixer(timm: ModuleType) -> nn.Module:
    return timm.models.mlp_mixer.MlpMixer(num_classes=CLASSES, img_size=SIDE, patch_size=16, num_blocks=3, embed_dim=64)


_SMALL_SWIN: dict[str, Any] = {"img_size": SIDE, "embed_dim": 24, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}
_SMALL_VIT: dict[str, Any] = {"img_size": SIDE, "embed_dim": 64, "depth": 4, "num_heads": 4}
#: As the page calls them.
MODELS: dict[str, Model] = {
    "torchvision mobilenet_v2": _vision("mobilenet_v2", width_mult=0.5),
    "torchvision mobilenet_v3_small": _vision("mobilenet_v3_small"),
    "torchvision mobilenet_v3_large": _vision("mobilenet_v3_large", width_mult=0.5),
    "torchvision mnasnet0_5": _vision("mnasnet0_5"),
    "torchvision shufflenet_v2_x0_5": _vision("shufflenet_v2_x0_5"),
    "torchvision squeezenet1_1": _vision("squeezenet1_1"),
    "torchvision efficientnet_b0": _vision("efficientnet_b0"),
    "torchvision regnet_x_400mf": _vision("regnet_x_400mf"),
    "torchvision regnet_y_400mf": _vision("regnet_y_400mf"),
    "torchvision resnet18": _vision("resnet18"),
    "torchvision densenet, small": Model("torchvision", _densenet),
    "torchvision convnext, small": Model("torchvision", _convnext),
    "torchvision vit, small": Model("torchvision", _vit),
    "torchvision swin, small": Model("torchvision", partial(_swin, version=1)),
    "torchvision swin_v2, small": Model("torchvision", partial(_swin, version=2)),
    "timm efficientnet_lite0": _timm("efficientnet_lite0"),
    "timm mobilenetv3_small_050": _timm("mobilenetv3_small_050"),
    "timm mobilenetv4_conv_small_035": _timm("mobilenetv4_conv_small_035"),
    "timm ghostnet_050": _timm("ghostnet_050"),
    "timm ghostnetv2_100": _timm("ghostnetv2_100"),
    "timm fastvit_t8": _timm("fastvit_t8"),
    "timm mobileone_s0": _timm("mobileone_s0"),
    "timm mobilevit_xxs": _timm("mobilevit_xxs"),
    "timm edgenext_xx_small": _timm("edgenext_xx_small"),
    "timm repvit_m0_9": _timm("repvit_m0_9"),
    "timm levit_128s": _timm("levit_128s", img_size=SIDE),
    "timm efficientformerv2_s0": _timm("efficientformerv2_s0", img_size=SIDE),
    "timm poolformer, small": Model("timm", _poolformer),
    "timm mixer, small": Model("timm", _mixer),
    "timm convnext_atto, small": _timm("convnext_atto", depths=(1, 1, 2, 1), dims=(16, 32, 48, 64)),
    "timm lcnet_035": _timm("lcnet_035"),
    "timm tinynet_e": _timm("tinynet_e"),
    "timm hardcorenas_a": _timm("hardcorenas_a"),
    "timm starnet_s050": _timm("starnet_s050"),
    "timm resnet18, small": _timm("resnet18", channels=(8, 16, 32, 64)),
    "timm vit_tiny, small": _timm("vit_tiny_patch16_224", **_SMALL_VIT),
    "timm deit_tiny, small": _timm("deit_tiny_patch16_224", **_SMALL_VIT),
    "timm swin_tiny, small": _timm("swin_tiny_patch4_window7_224", **_SMALL_SWIN),
    "timm swinv2_tiny, small": _timm("swinv2_tiny_window8_256", **_SMALL_SWIN),
}
