"""What a callable returns beside the images, read as weights (n, n): how much of output i's label is input k's.

The inputs carry one class each, 0 .. n-1, as numbers or as rows of n+1 columns; the column n is no input's, so that
what stands in it is smoothing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import one_hot

LABELS = ("one-hot", "classes", "none")


class AuditError(ValueError):
    """What was handed in cannot be audited: the message says what was found and what is needed."""


def label_batch(kind: str, n: int) -> Tensor | None:
    """The labels that the callable is given: rows (n, n+1), classes (n,), or none."""
    classes = torch.arange(n)
    if kind == "none":
        return None
    return one_hot(classes, n + 1).float() if kind == "one-hot" else classes


def soft_weights(labels: Tensor, n: int) -> Tensor:
    """Rows (n, K) that sum to one; smoothing, the share of a class that no input has, is taken out."""
    if labels.ndim != 2 or len(labels) != n or labels.shape[1] < n:
        raise AuditError(
            f"the labels returned have shape {tuple(labels.shape)}: needed are rows ({n}, K) with K >= {n} classes, or "
            f"(labels, partners' labels, ratio); classes 0..{n - 1} were given, or rows of {n + 1} columns; "
            f"labels='one-hot', 'classes' and 'none' choose between them"
        )
    rows = labels.double()
    floor = rows[:, n:].min(1, keepdim=True).values if rows.shape[1] > n else torch.zeros(n, 1).double()
    kept = (rows[:, :n] - floor) / (1 - rows.shape[1] * floor)
    return _summing_to_one(kept)


def pair_weights(own: Tensor, partner: Tensor, share: Tensor | float, n: int) -> Tensor:
    """share * own + (1 - share) * partner, labels as classes (n,) or rows (n, K), the share a number or one a row."""
    rows = [one_hot(v.long(), n + 1).double() if v.ndim == 1 else v.double() for v in (own, partner)]
    if any(len(r) != n or r.shape[1] < n for r in rows):
        raise AuditError(f"the labels returned have shapes {tuple(own.shape)}, {tuple(partner.shape)}: needed is {n}")
    weight = torch.as_tensor(share).double().reshape(-1, 1)
    return _summing_to_one((weight * rows[0] + (1 - weight) * rows[1])[:, :n])


def _summing_to_one(weights: Tensor) -> Tensor:
    gap = float((weights.sum(1) - 1).abs().max())
    if not gap <= 64 * torch.finfo(torch.float32).eps:
        raise AuditError(f"the label weights of an output sum to 1 only within {gap:.3g}: needed are weights of a pair")
    return weights
