"""Networks for spectrograms: their sizes counted by hand, and sides that are too small."""

from __future__ import annotations

import pytest
import torch

from verify.image_benches import NETWORKS

SHAPE = (160, 101)
#: 3 x 3 convolutions by channels in and out
VGG_11 = [(1, 64), (64, 128), (128, 256), (256, 256), (256, 512), (512, 512), (512, 512), (512, 512)]
VGG_13 = [*VGG_11[:1], (64, 64), *VGG_11[1:2], (128, 128), *VGG_11[2:]]


def in_vgg(convolutions: list[tuple[int, int]], classes: int) -> int:
    """Weights, biases and batch norm; five halvings leave 5 x 3 pixels."""
    features = sum(9 * inner * outer + 3 * outer for inner, outer in convolutions)
    return features + (512 * 5 * 3 + 1) * 512 + 513 * classes


COUNTS = {
    "LeNet": (25 + 1) * 20 + (20 * 25 + 1) * 20 + (20 * 37 * 22 + 1) * 1000 + 1001 * 30,
    "VGG-11": in_vgg(VGG_11, 30),
    "VGG-13": in_vgg(VGG_13, 30),
}


@pytest.mark.parametrize("name", COUNTS)
def test_sizes(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = NETWORKS[name](30, 1, SHAPE)
        x = torch.rand(2, 1, *SHAPE)
    assert sum(p.numel() for p in network.parameters()) == COUNTS[name]
    with torch.no_grad():
        assert network.eval()(x).shape == (2, 30)


@pytest.mark.parametrize(("name", "least"), [("LeNet", 16), ("VGG-11", 32), ("VGG-13", 32)])
def test_the_smallest_sides(name: str, least: int) -> None:
    with torch.no_grad():
        assert NETWORKS[name](3, 2, (least, least + 1)).eval()(torch.rand(1, 2, least, least + 1)).shape == (1, 3)
    for side, shape in (("height", (least - 1, least)), ("width", (least, least - 1))):
        with pytest.raises(ValueError, match=f"{side}={least - 1}: needed is an integer >= {least}, for {name}"):
            NETWORKS[name](3, 2, shape)
