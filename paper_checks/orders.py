"""The order of the remainder on a smooth network: the evidence where an expansion is not exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from msda_theory import Augmentation, RatioLaw, TaylorLoss, taylor_loss
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import MaskLaw
from verify.order import remainder_order
from verify.problems import digits, network

STATED_ORDER, ORDER_SLACK = 3.0, 0.1  # a C^3 loss leaves a third-order remainder; the slack is that of the fit
GAIN = 3.0  # weights of the tanh network, times this: far enough from linear for a third-order term


def smooth_digits(shape: tuple[int, int]) -> tuple[nn.Module, Tensor, Tensor]:
    """A tanh network with ten outputs, and the middle `shape` pixels of eight digits, not centred."""
    x, y = digits(8)
    top, left = (8 - shape[0]) // 2, (8 - shape[1]) // 2
    model = network("mlp-tanh", shape, 10)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(GAIN)
    return model, x[:, top : top + shape[0], left : left + shape[1]].contiguous(), y


def order_on_digits(
    make: Callable[[tuple[int, int]], MaskLaw],
    ratio: RatioLaw,
    *,
    shape: tuple[int, int] = (4, 3),
    as_printed: bool = False,
    halved: bool = False,
) -> float:
    """The slope of the remainder of the expansion; the printed form gets centred data, as it assumes.

    `halved` plants a factor 1/2 in R2.
    """
    model, x, y = smooth_digits(shape)
    x = x - x.mean(0) if as_printed else x
    augmentation, loss = Augmentation(ratio, make(shape)), SoftmaxCrossEntropy()
    theory: TaylorLoss = taylor_loss(model, loss, x, y, augmentation, as_printed=as_printed)
    theory = replace(theory, r2=theory.r2 / 2) if halved else theory
    return remainder_order(model, loss, x, y, augmentation, theory=theory).slope


def has_stated_order(slope: float) -> bool:
    return abs(slope - STATED_ORDER) <= ORDER_SLACK
