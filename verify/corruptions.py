"""Test images made harder: occluded, corrupted, attacked.  Images (n, c, h, w) in [0, 1] in and out."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, pad

NOISE, CONTRAST, BLUR = 0.1, 0.4, 3
CORRUPTIONS = ("noise", "blur", "contrast")


def occluded(x: Tensor, share: float = 0.5) -> Tensor:
    """A black square in the centre, its side the given share of the image's, rounded to whole pixels."""
    out = x.clone()
    h, w = x.shape[-2:]
    high, wide = round(share * h), round(share * w)
    top, left = (h - high) // 2, (w - wide) // 2
    out[..., top : top + high, left : left + wide] = 0
    return out


def corrupted(x: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """After ImageNet-C: Gaussian noise, a mean over 3 x 3 pixels, or less contrast about the image's mean."""
    if kind == "noise":
        return (x + NOISE * torch.randn(x.shape, generator=generator).to(x)).clamp(0, 1)
    if kind == "blur":
        return avg_pool2d(pad(x, [BLUR // 2] * 4, mode="reflect"), BLUR, stride=1)
    if kind == "contrast":
        mean = x.mean((-3, -2, -1), keepdim=True)
        return mean + CONTRAST * (x - mean)
    raise ValueError(f"kind={kind!r}: needed is one of {', '.join(map(repr, CORRUPTIONS))}")


def fgsm(model: nn.Module, x: Tensor, y: Tensor, step: float) -> Tensor:
    """x + step sign(gradient of the cross-entropy), kept in [0, 1]: Goodfellow et al. (2015)."""
    at = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(model(at), y, reduction="sum"), at)
    return (x + step * gradient.sign()).clamp(0, 1)
