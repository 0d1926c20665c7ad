"""The networks that Zhang et al. (mixup, 2018) and Zou et al. (2023) train on spectrograms, as the code that comes with
the gcommand_loader has them: LeCun et al.'s LeNet, wider and with dropout, and VGG-11 and VGG-13 (Simonyan and
Zisserman, 2014, A and B) with batch norm and a small classifier, between whose two maps there is no activation.

Initialisation is torch's, from its global generator.  Each takes classes, channels, and (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from msda_theory._validation import require_at_least

#: sides that leave LeNet's and VGG's maps one pixel
LENET_SIDE, VGG_SIDE = 16, 32
#: convolutions of each of five blocks, which maxpooling ends, and channels
BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2)}
CHANNELS = (64, 128, 256, 512, 512)


def lenet(classes: int, channels: int, shape: tuple[int, int]) -> nn.Module:
    """Two 5 x 5 convolutions of 20 channels, each with maxpooling, and two maps: for 30 classes and 160 x 101
    16.32 million parameters.

    Raises ValueError for sides below 16.
    """
    _require_sides("LeNet", shape, LENET_SIDE)
    height, width = (((side - 4) // 2 - 4) // 2 for side in shape)
    return nn.Sequential(
        nn.Conv2d(channels, 20, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(20, 20, 5),
        nn.Dropout2d(),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(20 * height * width, 1000),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(1000, classes),
    )


def vgg(depth: int, classes: int, channels: int, shape: tuple[int, int]) -> nn.Module:
    """VGG-11 or VGG-13, by its depth: five blocks of 3 x 3 convolutions with batch norm, and two maps.

    Raises ValueError for sides below 32.
    """
    _require_sides(f"VGG-{depth}", shape, VGG_SIDE)
    layers: list[nn.Module] = []
    inner = channels
    for count, outer in zip(BLOCKS[depth], CHANNELS, strict=True):
        for _ in range(count):
            layers += [nn.Conv2d(inner, outer, 3, padding=1), nn.BatchNorm2d(outer), nn.ReLU()]
            inner = outer
        layers.append(nn.MaxPool2d(2))
    pixels = (shape[0] // VGG_SIDE) * (shape[1] // VGG_SIDE)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(inner * pixels, 512), nn.Linear(512, classes))


def _require_sides(network: str, shape: Sequence[int], least: int) -> None:
    for name, side in zip(("height", "width"), shape, strict=True):
        require_at_least(name, side, least, f"for {network}")
