"""The image networks that the papers train, without operations in place, in float32 and in train mode.

PreActResNet-18: He, Zhang, Ren and Sun, Identity mappings in deep residual networks (2016), with a 3 x 3 stem, as for
CIFAR.  WideResNet: Zagoruyko and Komodakis (2016), without dropout.  `small_convnet` is one that two cores can train.
Initialisation is torch's, from its global generator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from msda_theory._validation import require_at_least


class PreActBlock(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x)))))); where the shape changes, x is projected after its first activation."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(inner), nn.BatchNorm2d(outer)
        self.conv1, self.conv2 = _conv(inner, outer, stride), _conv(outer, outer, 1)
        same = stride == 1 and inner == outer
        self.projection = None if same else nn.Conv2d(inner, outer, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.norm1(x))
        skipped = x if self.projection is None else self.projection(active)
        return skipped + self.conv2(torch.relu(self.norm2(self.conv1(active))))


class PreActResNet(nn.Module):
    """A stem, stages of `blocks` blocks each, the first block of all but the first stage with stride 2, a mean, a map.

    widths : channels of the stem and of each stage
    """

    def __init__(self, classes: int, channels: int, widths: Sequence[int], blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(channels, widths[0], 1)]
        for stage, (inner, outer) in enumerate(pairwise(widths)):
            layers.append(PreActBlock(inner, outer, 1 if stage == 0 else 2))
            layers.extend(PreActBlock(outer, outer, 1) for _ in range(blocks - 1))
        self.features = nn.Sequential(*layers, nn.BatchNorm2d(widths[-1]), nn.ReLU())
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((-2, -1)))


def preact_resnet18(classes: int, channels: int = 3, width: int = 64) -> nn.Module:
    """Four stages of two blocks, width to 8 width channels: 11.17 million parameters for 10 classes."""
    _require_sizes(classes=classes, channels=channels, width=width)
    return PreActResNet(classes, channels, [width, *(width * 2**k for k in range(4))], 2)


def wide_resnet(classes: int, depth: int, widen: int, channels: int = 3) -> nn.Module:
    """WideResNet-depth-widen: three stages of (depth - 4)/6 blocks, 16 widen to 64 widen channels."""
    _require_sizes(classes=classes, widen=widen, channels=channels)
    if depth < 10 or (depth - 4) % 6:
        raise ValueError(f"depth={depth}: needed is 6 n + 4 with n >= 1, as in 16 or 28")
    return PreActResNet(classes, channels, [16, *(16 * widen * 2**k for k in range(3))], (depth - 4) // 6)


def small_convnet(classes: int, channels: int, size: int) -> nn.Module:
    """Three convolutions with batch norm (16, 32 and 64 channels, the last two with stride 2), and a linear map."""
    _require_sizes(classes=classes, channels=channels, size=size)
    layers: list[nn.Module] = []
    for inner, outer, stride in ((channels, 16, 1), (16, 32, 2), (32, 64, 2)):
        layers += [_conv(inner, outer, stride), nn.BatchNorm2d(outer), nn.ReLU()]
    side = -(-size // 4)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * side**2, classes))


#: by the name on the command line, of classes, channels and side
NETWORKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "preact-resnet18": lambda classes, channels, size: preact_resnet18(classes, channels),
    "wide-resnet-28-2": lambda classes, channels, size: wide_resnet(classes, 28, 2, channels),
    "wide-resnet-16-8": lambda classes, channels, size: wide_resnet(classes, 16, 8, channels),
    "small-convnet": small_convnet,
}


def _conv(inner: int, outer: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, stride, 1, bias=False)


def _require_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        require_at_least(name, value, 1, "a size")
