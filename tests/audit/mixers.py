"""Augmentations to audit: our own mask laws as callables, with every convention that a library may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import msda_theory as mt
from msda_theory.masks import MaskLaw

Mixer = Callable[[Tensor, Tensor], Any]
UNIFORM = mt.Beta(1.0, 1.0)


def partners(n: int, pairing: str) -> Tensor:
    """The partner of each sample: a permutation, the flipped batch, the batch rolled, or any with replacement."""
    if pairing == "flip":
        return torch.arange(n).flip(0)
    if pairing == "roll":
        return torch.arange(n).roll(1)
    if pairing == "any":
        return torch.randint(n, (n,))
    return torch.randperm(n)


def mixer(
    law: MaskLaw,
    *,
    ratio: mt.RatioLaw = UNIFORM,
    label: str = "nominal",
    per: str = "sample",
    pairing: str = "permutation",
    chance: float = 1.0,
) -> Mixer:
    """M * x + (1-M) * x[partner]; label "nominal", "realised", "swapped"; one draw per "batch", "pair", "sample"."""

    def mix(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        n = len(x)
        rng = np.random.default_rng(int(torch.randint(2**31, ())))
        if rng.random() >= chance:
            return x, y
        count = {"batch": 1, "pair": n // 2, "sample": n}[per]
        ratios = torch.from_numpy(ratio.sample(count, rng))
        masks = law.sample(ratios, rng)
        if per == "batch":
            ratios, masks = ratios.expand(n), masks.expand(n, *law.shape)
        elif per == "pair":
            ratios, masks = torch.cat([ratios, ratios.flip(0)]), torch.cat([masks, masks.flip(0)])
        weight = masks.flatten(1).mean(1) if label == "realised" else ratios
        weight = (1 - weight if label == "swapped" else weight).float().unsqueeze(1)
        m, partner = masks.float().unsqueeze(1), partners(n, pairing)
        return m * x + (1 - m) * x[partner], weight * y + (1 - weight) * y[partner]

    return mix


def pasted(x: Tensor, rows: Tensor, columns: Tensor, partner: Tensor) -> Tensor:
    """x with rows x columns of the partner; `rows` and `columns` are pairs (start, side)."""
    out = x.clone()
    (top, height), (left, width) = rows, columns
    out[..., top : top + height, left : left + width] = x[partner][..., top : top + height, left : left + width]
    return out
