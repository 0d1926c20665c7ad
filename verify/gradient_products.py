"""Products of input gradients by displacement: PartialGradProd(x, p) = max_v |d_v f(x) d_(v+p) f(x)|.

Park et al. (2022), (12) and App. F.  v and v+p run over the pixels of the image, in each channel; f is the score of the
image's own class.  As in App. F the gradients of an image are first scaled so that sum_v |d_v f(x)| = 1.

Since |ab| <= max(a^2, b^2), no displacement has a larger product than p = 0, whatever the network.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from msda_theory.augmentation import Augmentation
from msda_theory.masks.displacement import mean_by_displacement

#: share of the image's pixels that must have a partner at a displacement for it to be compared
LEAST_PAIRS = 0.25


def score_gradients(model: nn.Module, x: Tensor, y: Tensor, *, batch: int = 512) -> Tensor:
    """|d f_y(x) / dx| of each image, scaled to sum to 1: (n, c, h, w); zeros where the gradient is zero."""
    parts = []
    for part, labels in zip(x.split(batch), y.split(batch), strict=True):
        at = part.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model(at).gather(1, labels.unsqueeze(1)).sum(), at)
        parts.append(gradient.abs())
    return scaled(torch.cat(parts))


def scaled(gradients: Tensor) -> Tensor:
    """Absolute values (n, ...) that sum to 1 in each row."""
    total = gradients.flatten(1).abs().sum(1).clamp_min(torch.finfo(gradients.dtype).tiny)
    return gradients.abs() / total.reshape(-1, *[1] * (gradients.ndim - 1))


def products(gradients: Tensor) -> Tensor:
    """max_v |g_v g_(v+p)| of images (n, ..., h, w): (n, 2h-1, 2w-1), displacement 0 in the middle, p and -p alike."""
    g = gradients.abs().reshape(len(gradients), -1, *gradients.shape[-2:])
    h, w = g.shape[-2:]
    found = g.new_zeros(len(g), 2 * h - 1, 2 * w - 1)
    for down in range(h):
        for right in range(1 - w, w):
            if down or right >= 0:
                left, columns = max(0, -right), w - abs(right)
                here = g[..., : h - down, left : left + columns]
                there = g[..., down:, left + right : left + right + columns]
                largest = (here * there).flatten(1).amax(1)
                found[:, h - 1 + down, w - 1 + right] = largest
                found[:, h - 1 - down, w - 1 - right] = largest
    return found


def mean_coefficient(augmentation: Augmentation, shape: tuple[int, int]) -> Tensor:
    """E_i E_D~[a_{i,i+p}], the paper's coefficient by displacement: (2h-1, 2w-1), float64."""
    tilted = replace(augmentation, ratio=augmentation.ratio.tilted())
    return mean_by_displacement(tilted.second_moment(), shape)


def compared_displacements(shape: tuple[int, int]) -> Tensor:
    """One of p and -p, of the displacements at which a quarter of the pixels have a partner: (2h-1, 2w-1) bool."""
    h, w = shape
    down, right = torch.arange(1 - h, h), torch.arange(1 - w, w)
    pairs = torch.outer(h - down.abs(), w - right.abs())
    upper = (down.unsqueeze(1) > 0) | ((down.unsqueeze(1) == 0) & (right >= 0))
    return upper & (pairs >= LEAST_PAIRS * h * w)


def alignment(values: Tensor, coefficient: Tensor) -> float:
    """Spearman's rank correlation of products, or of their ratios, with coefficients, by displacement (2h-1, 2w-1)."""
    h, w = (n // 2 + 1 for n in values.shape)
    kept = compared_displacements((h, w))
    return float(spearmanr(values[kept].numpy(), coefficient[kept].numpy()).statistic)
