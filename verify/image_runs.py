"""Networks trained on small images by the methods that Park et al. (2022) compare, at the scale of one core.

The methods' parameters are theirs where they print them: alpha = 1, for GMix 1/2 as on CIFAR-100, r = 1/2, q = 1/2.
Boxes lie anywhere inside the image, labels are weighed by lambda; GMix has the released kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate

from msda_theory.augmentation import Augmentation
from msda_theory.masks import CutMix, GMix, HMix, Mixup, Stochastic
from msda_theory.ratios import Beta
from msda_theory.training import Mix
from verify.image_sets import ImageSet, image_set
from verify.image_training import Trained, Transform, train
from verify.networks import preact_resnet18, small_convnet, wide_resnet

METHODS = ("none", "Mixup", "CutMix", "Stochastic", "HMix", "GMix")
NETWORKS = ("convolutional", "WRN10-1", "PreActRN18, 1/16 width", "PreActRN18", "WRN28-2")
#: images of these sets share no pixels, so those not trained on can be tested on
SINGLE = ("digits", "lfw")


@dataclass(frozen=True)
class Recipe:
    """What is trained, and how: SGD with momentum 0.9.  `data` as `image_set` takes it.

    side : images are resized to it        samples : how many are trained on, None for all
    crop : smallest and largest share of the area that is cut out at random and resized, while training
    """

    data: str = "digits"
    network: str = "convolutional"
    side: int | None = None
    samples: int | None = None
    epochs: int = 30
    batch: int = 32
    lr: float = 0.1
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    crop: tuple[float, float] | None = None


@dataclass(frozen=True)
class Run:
    """A trained network in eval mode, the images it was trained and is tested on, and its scores."""

    model: nn.Module
    data: ImageSet
    scores: Trained


def augmentation(
    method: str, shape: tuple[int, int], *, alpha: float | None = None, r: float = 0.5
) -> Augmentation | None:
    """One of METHODS on images of a shape; None for "none".  `alpha` is by default the method's own, `r` is HMix's."""
    ratio = Beta(*([alpha if alpha is not None else 0.5 if method == "GMix" else 1.0] * 2))
    if method == "none":
        return None
    if method == "Mixup":
        return Augmentation(ratio, Mixup(shape))
    if method == "GMix":
        return Augmentation(ratio, GMix(shape, kernel="released"))
    boxes = {
        "CutMix": lambda: CutMix(shape, sampler="inside"),
        "Stochastic": lambda: Stochastic(shape, q=0.5, sampler="inside"),
        "HMix": lambda: HMix(shape, r=r, sampler="inside"),
    }
    if method not in boxes:
        raise ValueError(f"method={method!r}: needed is one of {', '.join(map(repr, METHODS))}")
    return Augmentation(ratio, boxes[method]())


@cache
def trained(recipe: Recipe, method: str, seed: int, *, alpha: float | None = None, r: float = 0.5) -> Run:
    """Train once, on the GPU if there is one: data, initialisation and batches from `seed`, alike for all methods."""
    data = images(recipe, seed)
    height, width = (recipe.side,) * 2 if recipe.side else data.train_x.shape[-2:]
    mixed = augmentation(method, (height, width), alpha=alpha, r=r)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(recipe.network, data.classes, data.train_x.shape[1], height)
    how = mixed if recipe.crop is None else _cropped(recipe.crop, height, mixed, data.classes)
    if recipe.crop is not None:
        model = nn.Sequential(Resize(height), model)
    scores = train(
        model.to(data.train_x.device),
        data,
        how,
        epochs=recipe.epochs,
        seed=seed,
        lr=recipe.lr,
        weight_decay=recipe.weight_decay,
        batch=recipe.batch,
        schedule=recipe.schedule,
    )
    return Run(model, data, scores)


def network(name: str, classes: int, channels: int, side: int) -> nn.Module:
    """One of NETWORKS, initialised from torch's generator."""
    if name == "convolutional":
        return small_convnet(classes, channels, side)
    if name == "WRN10-1":
        return wide_resnet(classes, 10, 1, channels)
    if name == "PreActRN18, 1/16 width":
        return preact_resnet18(classes, channels, 4)
    if name == "PreActRN18":
        return preact_resnet18(classes, channels)
    if name == "WRN28-2":
        return wide_resnet(classes, 28, 2, channels)
    raise ValueError(f"network={name!r}: needed is one of {', '.join(map(repr, NETWORKS))}")


@cache
def images(recipe: Recipe, seed: int) -> ImageSet:
    """Resized to `side` unless they are to be cropped; on the GPU if there is one."""
    data = image_set(recipe.data, size=_size(recipe), seed=seed)
    count = recipe.samples or len(data.train_x)
    test_x, test_y = data.test_x, data.test_y
    if recipe.data in SINGLE:
        test_x, test_y = torch.cat([test_x, data.train_x[count:]]), torch.cat([test_y, data.train_y[count:]])
    train_x, train_y = data.train_x[:count], data.train_y[:count]
    if recipe.side is not None and recipe.crop is None:
        train_x, test_x = (resized(x, recipe.side) for x in (train_x, test_x))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_x, train_y, test_x, test_y = (part.to(device) for part in (train_x, train_y, test_x, test_y))
    return ImageSet(train_x, train_y, test_x, test_y, data.classes, data.note)


def _size(recipe: Recipe) -> int | None:
    """Of a folder's images as they are read: twice `side`, so that half of a side can be cut out."""
    return 2 * recipe.side if recipe.side and recipe.data.startswith("folder:") else None


class Resize(nn.Module):
    """Whole images to the size of the crops that a network was trained on."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        return resized(x, self.side)


def resized(x: Tensor, side: int) -> Tensor:
    return x if x.shape[-1] == side else interpolate(x, (side, side), mode="bilinear", antialias=True).clamp(0, 1)


def random_crops(x: Tensor, share: tuple[float, float], side: int) -> Tensor:
    """From each image a square of a random share of its area, at a random place, resized to side x side.

    Drawn from torch's generator.
    """
    low, high = share
    scale = (low + (high - low) * torch.rand(len(x), 1)).sqrt()
    shift = (1 - scale) * (2 * torch.rand(len(x), 2) - 1)
    zero = torch.zeros(len(x), 1)
    theta = torch.cat([scale, zero, shift[:, :1], zero, scale, shift[:, 1:]], 1).reshape(-1, 2, 3).to(x)
    cut = grid_sample(
        x, affine_grid(theta, list(x.shape), align_corners=False), padding_mode="border", align_corners=False
    )
    return resized(cut, side)


def _cropped(share: tuple[float, float], side: int, mixed: Augmentation | None, classes: int) -> Transform:
    mix = None if mixed is None else Mix(mixed, classes)

    def transform(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        cut = random_crops(x, share, side)
        return (cut, y) if mix is None else mix(cut, y)

    return transform
