"""Balls |delta|_p <= radius about each sample, p = 2 or inf."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from msda_theory._validation import require_finite, require_finite_positive

#: norms of an attack, and the dual norm in which a linear function answers it
DUAL_NORMS = {2: 2.0, math.inf: 1.0}


def require_norm(norm: float) -> None:
    if norm not in DUAL_NORMS:
        raise ValueError(f"norm={norm!r}: needed is 2 or inf (math.inf)")


def per_sample(radius: float | Tensor, x: Tensor) -> Tensor:
    """The radius of each sample, (m,) in x's dtype: a number > 0 for all, or a tensor (m,) of numbers >= 0."""
    if not isinstance(radius, Tensor) or radius.ndim == 0:
        require_finite_positive("radius", radius.item() if isinstance(radius, Tensor) else radius)
        return torch.full((len(x),), float(radius), dtype=x.dtype, device=x.device)
    if radius.shape != (len(x),):
        raise ValueError(f"radius has shape {tuple(radius.shape)}: needed is a number, or one a sample, ({len(x)},)")
    require_finite("radius", radius)
    if bool((radius < 0).any()):
        at = int((radius < 0).nonzero()[0])
        raise ValueError(
            f"radius[{at}] = {float(radius[at]):g}: needed are numbers >= 0; a ball has no negative radius"
        )
    return radius.to(x)


def dual_norm(rows: Tensor, norm: float) -> Tensor:
    """max of rows . delta over |delta|_p <= 1, along the last axis: the l2 norm for p = 2, the l1 norm for p = inf."""
    return torch.linalg.vector_norm(rows, DUAL_NORMS[norm], dim=-1)
