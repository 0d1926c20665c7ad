"""Empirical Rademacher complexity of a class of linear functions: exact over all signs, or Monte Carlo."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._validation import require_at_least, require_finite, require_kind
from msda_theory.bounds.ellipsoids import Body

LARGEST_ENUMERATION = 20
BLOCK = 2**12


@dataclass(frozen=True)
class Complexity:
    """E_xi sup_theta (1/n) sum_i xi_i theta . x_i: `value`, and how well it is known.

    `error`: the standard error of a Monte Carlo mean, 0 for an enumeration.  `gap`: the mean duality gap of the
    suprema, 0 for ellipsoids; the suprema lie in [value - gap, value].  `draws`: the sign vectors drawn, None for an
    enumeration.  `note`: why the value is inf, where it is.
    """

    value: float
    error: float
    draws: int | None
    gap: float
    note: str = ""


def rademacher_complexity(
    body: Body, features: Tensor, *, draws: int | None = None, seed: int | None = None
) -> Complexity:
    """Rad(W, S) = E_xi sup_{theta in W} (1/n) sum_i xi_i theta . x_i for features x (n, p), a given sample.

    draws=None enumerates the 2^(n-1) sign vectors up to a common sign (the sets hold -theta with theta), n <= 20;
    otherwise `draws` sign vectors are drawn from `seed`.  Raises ValueError where n is too large to enumerate, with
    the cost.  (Zhang et al., App. A.3.2; Bartlett and Mendelson, 2002.)

    Of a ball and one sample it is the radius times the sample's length:

    >>> from msda_theory.bounds import Ball
    >>> rademacher_complexity(Ball(4.0, 2), torch.tensor([[3.0, 4.0]])).value
    10.0
    """
    require_kind("body", body, Body)
    require_kind("features", features, Tensor)
    if (
        not features.is_floating_point()
        or features.ndim != 2
        or features.shape[1] != body.dimension
        or not len(features)
    ):
        raise ValueError(
            f"features has shape {tuple(features.shape)}, {features.dtype}: needed is a floating (n, {body.dimension})"
        )
    require_finite("features", features)
    blocks = _all_signs(features) if draws is None else _drawn_signs(features, draws, seed)
    found = [body.maximum(signs @ features / len(features)) for signs in blocks]
    values, gaps = torch.cat([f.value for f in found]), torch.cat([f.gap for f in found])
    mean, gap = float(values.mean()), float(gaps.mean())
    if math.isinf(mean):
        return Complexity(mean, 0.0, draws, gap, _unbounded_note(body, features))
    return Complexity(mean, 0.0 if draws is None else float(values.std()) / draws**0.5, draws, gap)


def _all_signs(features: Tensor) -> Iterator[Tensor]:
    """Blocks (b, n) of all sign vectors that end in +1; the bits of 0 .. 2^(n-1) - 1 are the others."""
    count = len(features)
    if count > LARGEST_ENUMERATION:
        raise ValueError(
            f"features holds n={count} samples: all signs are 2^{count - 1} = {2.0 ** (count - 1):.2g} suprema; needed "
            f"is n <= {LARGEST_ENUMERATION}, or draws=N for a Monte Carlo mean of N suprema with its standard error"
        )
    bits = torch.arange(count, device=features.device)
    for start in range(0, 2 ** (count - 1), BLOCK):
        block = torch.arange(start, min(start + BLOCK, 2 ** (count - 1)), device=features.device)
        yield 1 - 2 * (block.unsqueeze(-1) >> bits & 1).to(features)


def _drawn_signs(features: Tensor, draws: int, seed: int | None) -> Iterator[Tensor]:
    """The same signs on every device: they are drawn on the CPU."""
    require_at_least("draws", draws, 2, "which gives a standard error")
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    for start in range(0, draws, BLOCK):
        rows = min(BLOCK, draws - start)
        yield (2 * torch.randint(0, 2, (rows, len(features)), generator=generator) - 1).to(features)


def _unbounded_note(body: Body, features: Tensor) -> str:
    leaving = torch.isinf(body.support(features)).nonzero().flatten().tolist()
    rows = ", ".join(map(str, leaving[:3])) + (", ..." if len(leaving) > 3 else "")
    return f"the set is unbounded along features[{rows}], which leave the range of its matrix"
