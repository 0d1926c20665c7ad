"""What the papers' image experiments put around `image_training.train`: pixels standardised by the training set, the
usual crops and flips, and the methods ERM, Mixup and MixupE.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from msda_theory.augmentation import Augmentation
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import Mixup
from msda_theory.mixupe import rescaled
from msda_theory.ratios import RatioLaw
from msda_theory.training import Mix
from verify.image_training import Objective, Transform, transformed_loss

LOSS = SoftmaxCrossEntropy()


class Standardised(nn.Module):
    """A network behind (x - mean)/scale, channel by channel over a training set (m, c, h, w): pixels stay in [0, 1]."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, x: Tensor) -> None:
        super().__init__()
        self.network = network
        scale, mean = torch.std_mean(x, (0, 2, 3), keepdim=True)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", torch.where(scale > 0, scale, torch.ones_like(scale)))

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x - self.mean) / self.scale)


@dataclass(frozen=True)
class CropsAndFlips:
    """Each image moved by up to `reach` pixels along both axes, black beyond its edge, and mirrored half of the time if
    `flips`; from torch's global generator.  (x, y) -> (x, y), x (n, c, h, w).
    """

    reach: int
    flips: bool

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = x.shape
        padded = pad(x, [self.reach] * 4)
        down, right = torch.randint(2 * self.reach + 1, (2, n, 1)).to(x.device)
        rows, columns = (offset + torch.arange(size, device=x.device) for offset, size in ((down, h), (right, w)))
        image, channel = (torch.arange(size, device=x.device) for size in (n, c))
        at = image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]
        moved = padded[at]
        if not self.flips:
            return moved, y
        mirrored = (torch.rand(n) < 0.5).to(x.device).reshape(-1, 1, 1, 1)
        return torch.where(mirrored, moved.flip(-1), moved), y


@dataclass(frozen=True)
class Chain:
    """One transform after the other."""

    parts: tuple[Transform, ...]

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        for part in self.parts:
            x, y = part(x, y)
        return x, y


@dataclass(frozen=True)
class FirstOrderPenalty:
    """MixupE's loss of a batch, kappa (L + eta R), as Listing 1 has it: L of the transformed batch, R of the unmixed,

        R = E_D~[1-lambda] mean_i |(y_i - softmax f_i) . f_i|,    kappa = |L| / |L + eta R| held constant.

    `augment` is applied before both.
    """

    ratio: RatioLaw
    eta: float
    augment: Transform | None = None

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, transform: Transform | None) -> Tensor:
        if self.augment is not None:
            x, y = self.augment(x, y)
        mixed = transformed_loss(model, x, y, transform)
        f = model(x)
        slopes = ((one_hot(y, f.shape[1]) - LOSS.h1(f)) * f).sum(1).abs().mean()
        return rescaled(mixed, self.eta * 2 * self.ratio.moment(1, 1) * slopes)


@dataclass(frozen=True)
class Method:
    """Transform and objective, as `image_training.train` takes them."""

    transform: Transform | None
    objective: Objective


def method(
    ratio: RatioLaw,
    shape: tuple[int, ...],
    classes: int,
    *,
    mixed: bool,
    eta: float | None = None,
    augment: Transform | None = None,
) -> Method:
    """Mixup, one ratio a batch, of images `shape`, or no mixing; with MixupE's penalty for that ratio if eta is given.

    eta = 0 leaves of MixupE its second pass through the network, in which batch norm sees the unmixed images too.
    """
    mix = Mix(Augmentation(ratio, Mixup(shape)), classes, draws="batch") if mixed else None
    if eta is not None:
        return Method(mix, FirstOrderPenalty(ratio, eta, augment))
    parts = tuple(part for part in (augment, mix) if part is not None)
    return Method(Chain(parts) if parts else None, transformed_loss)
