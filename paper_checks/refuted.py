"""A printed inequality refuted: the counterexample in ball arithmetic, and its two sides once more by the library."""

from __future__ import annotations

from typing import Any

import torch

from paper_checks.counterexamples import load
from paper_checks.counterexamples.recheck import refutes, sides
from verify.tolerances import rounding


def certified(name: str, again: tuple[float, float]) -> tuple[bool, dict[str, Any]]:
    """Whether the counterexample refutes its inequality and the library finds the same two sides; and the figures."""
    example = load(name)
    balls = sides(example)
    near = all(abs(a - float(b)) <= rounding(torch.float64, 1.0, 100) for a, b in zip(again, balls, strict=True))
    figures: dict[str, Any] = {
        f"counterexample, {key}": str(value).replace("'", "") for key, value in example["data"].items()
    }
    figures["left < right, printed left >= right"] = " < ".join(b.str(8) for b in balls)
    figures["the same by the library"] = f"{again[0]:.8f}, {again[1]:.8f}"
    return refutes(example) and near, figures
