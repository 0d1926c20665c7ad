"""Many draws of a callable: who was mixed with whom, the masks, and the label weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from msda_theory._progress import track
from msda_theory.audit._adapters import Adapter
from msda_theory.audit._labels import AuditError
from msda_theory.audit._probe import Shares, global_state_kept, read_shares
from msda_theory.quadrature import Array

NOBODY = -1
#: shares below this are rounding: 16 eps of float32
NOTHING = 16 * torch.finfo(torch.float32).eps
#: draws in which a partner must be the same before the pairing counts as fixed
FIXED_AFTER = 8

Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """T draws of a batch of n: M is the share of the input in its own output, for the outputs that have a partner.

    masks (T, n, H, W), area (T, n) the mean of M, weight (T, n) the own label's (the area where no labels came back),
    partner (T, n), NOBODY where an output holds its own input alone, mixed (T, n) False where that is a pair of one.
    """

    masks: Array
    area: Array
    weight: Array
    partner: Whole
    mixed: NDArray[np.bool_]
    labelled: bool
    strays: int
    x_changed: bool
    labels_changed: bool
    doubt: float

    @property
    def used(self) -> NDArray[np.bool_]:
        """The draws with at least one mixed output."""
        return np.asarray(self.mixed.any(1))


def draw(adapter: Adapter, shape: tuple[int, int, int], batch: int, draws: int, seed: int, false_alarm: float) -> Draws:
    """`draws` independent calls, each under seeds of its own; the global random states are left as they were."""
    seeds = np.random.SeedSequence(seed).generate_state(draws).tolist()
    with global_state_kept():
        read = [_pairs(read_shares(adapter, shape, batch, s), adapter.name) for s in track(seeds, "drawing masks")]
    masks, weights, partners, strays, x_changed, labels_changed = (list(v) for v in zip(*read, strict=True))
    partner, stacked = np.stack(partners), np.stack(masks)
    mixed, doubt = _with_partner(partner, false_alarm)
    area = stacked.reshape(draws, batch, -1).mean(2, dtype=np.float64)
    labelled = weights[0] is not None
    return Draws(
        stacked,
        area,
        np.stack(weights) if labelled else area,
        partner,
        mixed,
        labelled,
        sum(strays),
        any(x_changed),
        any(labels_changed),
        doubt,
    )


def _pairs(draw: Shares, name: str) -> tuple[Array, Array | None, Whole, int, bool, bool]:
    """Masks, own label weights, partners and stray labels of one draw; AuditError where a pixel holds no pair."""
    n = len(draw.shares)
    own = draw.shares[torch.arange(n), torch.arange(n)]
    partner = _contributors(draw.shares.flatten(2).abs().amax(2), name)
    given = draw.shares[torch.arange(n), partner.clamp(min=0)] * (partner >= 0).reshape(-1, 1, 1)
    gap = float((own + given - 1).abs().max())
    if gap > NOTHING:
        raise AuditError(f"{name}: the shares of a pixel sum to 1 only within {gap:.3g}: needed are M and 1-M")
    weight, strays = None, 0
    if draw.weights is not None:
        weight = draw.weights.diagonal().numpy()
        named = _contributors(draw.weights.abs(), f"{name}, its labels")
        strays = int(((named >= 0) & (partner >= 0) & (named != partner)).sum())
        partner = torch.where(partner >= 0, partner, named)
    return own.numpy(), weight, partner.numpy(), strays, draw.x_changed, draw.labels_changed


def _contributors(strength: Tensor, name: str) -> Tensor:
    """Of each output, the one other input that it holds, or NOBODY; AuditError for two of them."""
    others = (strength > NOTHING).fill_diagonal_(False)
    if int(others.sum(1).max()) > 1:
        output = int(others.sum(1).argmax())
        inputs = [k for k in range(len(others)) if others[output, k]]
        raise AuditError(
            f"{name}: output {output} holds inputs {inputs} beside its own: needed are pairs, output i made from input "
            f"i and one partner"
        )
    return torch.where(others.any(1), others.int().argmax(1), NOBODY)


def _with_partner(partner: Whole, false_alarm: float) -> tuple[NDArray[np.bool_], float]:
    """Which outputs have a partner, seen or not, and the share of draws that may have been judged wrongly.

    An output that holds its own input alone is a pair of one, or has M = 1.  It has M = 1 where its partner is the
    same in every draw, or, for permutations, where it is the partner of another output.  A batch left alone as a whole
    has M = 1 if that happens more often than the identity is drawn, 1/n!.
    """
    draws, n = partner.shape
    mixed = partner != NOBODY
    if not mixed.any():
        return mixed, 0.0
    fixed = np.array([_is_fixed(column[column != NOBODY]) for column in partner.T])
    mixed |= fixed & ~mixed
    if all(len(set(row)) == len(row) for row in (r[r != NOBODY].tolist() for r in partner)):
        taken = np.stack([np.isin(np.arange(n), row[row != NOBODY]) for row in partner])
        mixed |= taken & ~mixed
    alone = ~mixed.any(1)
    identity = 1 / math.factorial(n)
    if alone.any() and binomtest(int(alone.sum()), draws, identity, "greater").pvalue < false_alarm:
        mixed[alone] = True
        return mixed, identity
    return mixed, float(alone.mean())


def _is_fixed(seen: Whole) -> bool:
    return len(seen) >= FIXED_AFTER and len(np.unique(seen)) == 1


def batch_means(values: Array, mixed: NDArray[np.bool_]) -> Array:
    """(T, n, ...) to one mean a draw over its mixed outputs, (T', ...): outputs of one batch are not independent."""
    keep = mixed.any(1)
    weights = mixed[keep] / mixed[keep].sum(1, keepdims=True)
    return np.einsum("tn,tn...->t...", weights, values[keep].astype(np.float64))


def require_room(draws: int, batch: int, shape: Sequence[int], largest: int) -> None:
    count = draws * batch * shape[1] * shape[2]
    if count > largest:
        raise ValueError(
            f"draws={draws} of {batch} masks of {shape[1]} x {shape[2]} pixels are {count:.2g} numbers, allowed are "
            f"{largest:.2g}; use a smaller shape, or fewer draws"
        )
