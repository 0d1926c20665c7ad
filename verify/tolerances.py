"""Tolerances, each derived and named here."""

from __future__ import annotations

import torch


def rounding(dtype: torch.dtype, scale: float, operations: int) -> float:
    """Rounding of a sum of terms of size `scale`: eps * scale * operations bounds it, sqrt(operations) is typical."""
    return torch.finfo(dtype).eps * scale * operations
