"""An image experiment as data: which images, which network, trained how; at the scale of what is here or of the papers.

A run is drawn from its seed: the split or choice of images, the initialisation, and the batches with their mixing; runs
of one seed share all three, whatever the method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn

from msda_theory.ratios import RatioLaw
from verify.image_methods import CropsAndFlips, Standardised, method
from verify.image_sets import READERS, ImageSet, image_set
from verify.image_training import Score, evaluate, train
from verify.networks import preact_resnet18, small_convnet, wide_resnet
from verify.speech_networks import lenet, vgg

#: by name: classes, channels, and height and width, to a network
NETWORKS: dict[str, Callable[[int, int, tuple[int, int]], nn.Module]] = {
    "small convnet": lambda classes, channels, shape: small_convnet(classes, channels, shape[0]),
    "PreActResNet-18": lambda classes, channels, _: preact_resnet18(classes, channels),
    "PreActResNet-18, width 8": lambda classes, channels, _: preact_resnet18(classes, channels, 8),
    "WideResNet-10-1": lambda classes, channels, _: wide_resnet(classes, 10, 1, channels),
    "WideResNet-16-8": lambda classes, channels, _: wide_resnet(classes, 16, 8, channels),
    "WideResNet-28-10": lambda classes, channels, _: wide_resnet(classes, 28, 10, channels),
    "LeNet": lenet,
    "VGG-11": partial(vgg, 11),
    "VGG-13": partial(vgg, 13),
}


@dataclass(frozen=True)
class Bench:
    """images, size : as `image_set` takes them; limit : of the training images, the first so many are used
    flips : is a mirrored image still of its class; moved by up to an eighth of a side either way
    epochs, batch, lr, decay, schedule : of SGD with momentum 0.9, or of Adam, as `optimiser` says
    """

    images: str
    network: str
    epochs: int
    size: int | None = None
    limit: int | None = None
    flips: bool = True
    batch: int = 64
    lr: float = 0.1
    decay: float = 0.0
    schedule: str = "cosine"
    optimiser: str = "SGD"

    def scaled(self, epochs: float, images: float) -> Bench:
        """The same with these shares of its epochs and of its limit: an epoch and 20 images at least."""
        limit = None if self.limit is None else max(20, round(images * self.limit))
        return replace(self, epochs=max(1, round(epochs * self.epochs)), limit=limit)

    def data(self, seed: int) -> ImageSet:
        """On the GPU where there is one.  What comes with a test set is the same from every seed, and read once."""
        split = self.images.partition(":")[0] not in READERS
        return _images(self.images, self.size, self.limit, seed if split else 0)

    def described(self) -> str:
        how = f"{self.optimiser} with batches of {self.batch}, step {self.lr:g}"
        return f"{self.network}, {self.epochs} epochs of {how}"


@dataclass(frozen=True)
class Trained:
    """The model, its images, and the scores at each of `epochs`, on unmixed and unaugmented images."""

    model: nn.Module
    data: ImageSet
    epochs: tuple[int, ...]
    train: tuple[Score, ...]
    test: tuple[Score, ...]


def run(
    bench: Bench,
    ratio: RatioLaw,
    seed: int,
    *,
    mixed: bool,
    eta: float | None = None,
    augmented: bool = False,
    looks: Sequence[int] = (),
) -> Trained:
    """Train from `seed` without mixing or with Mixup, with MixupE's penalty where eta is given, with crops and
    flips or without; scores after the epochs in `looks`, and after the last.

    Raises FloatingPointError where the loss is no longer finite.
    """
    data_seed, start, order = (int(s) for s in np.random.SeedSequence(seed).generate_state(3))
    data = bench.data(data_seed)
    channels, height, width = data.train_x.shape[1:]
    augment = CropsAndFlips(max(1, height // 8), bench.flips) if augmented else None
    chosen = method(ratio, (height, width), data.classes, mixed=mixed, eta=eta, augment=augment)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(start)
        network = NETWORKS[bench.network](data.classes, channels, (height, width))
    model = Standardised(network, data.train_x).to(data.train_x)
    found: dict[int, tuple[Score, Score]] = {}

    def watch(epoch: int, model: nn.Module) -> None:
        if epoch in looks and epoch < bench.epochs:
            found[epoch] = evaluate(model, data.train_x, data.train_y), evaluate(model, data.test_x, data.test_y)

    last = train(
        model,
        data,
        chosen.transform,
        objective=chosen.objective,
        watch=watch,
        epochs=bench.epochs,
        batch=bench.batch,
        seed=order,
        lr=bench.lr,
        weight_decay=bench.decay,
        schedule=bench.schedule,
        optimiser=bench.optimiser,
    )
    found[bench.epochs] = last.train, last.test
    scores = tuple(found.values())
    return Trained(model, data, tuple(found), tuple(s[0] for s in scores), tuple(s[1] for s in scores))


@lru_cache(maxsize=1)
def _images(name: str, size: int | None, limit: int | None, seed: int) -> ImageSet:
    data = image_set(name, size=size, seed=seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = slice(limit)
    return replace(
        data,
        train_x=data.train_x[chosen].to(device),
        train_y=data.train_y[chosen].to(device),
        test_x=data.test_x.to(device),
        test_y=data.test_y.to(device),
    )
