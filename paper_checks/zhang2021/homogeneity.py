"""App. B.2: f = grad f . x and zero Hessian, almost everywhere, for networks of ReLU and max-pooling."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations_with_replacement, product

import numpy as np
import torch
from flint import fmpq
from torch import nn

from msda_theory.bounds import require_homogeneous
from msda_theory.derivatives import contracted_hessian
from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tiny_layers import Piece, TinyLayer, TinyLayers, convolution, dot, rationals, singly, windows
from verify.tiny_relu import Vector, tiny_relu

POINTS = 6


def networks(rng: np.random.Generator) -> dict[str, tuple[TinyLayers, int]]:
    """Fully connected with ReLU; with max-pooling alone; convolutions with both, their windows overlapping."""

    def draw(rows: int, columns: int) -> list[list[fmpq]]:
        return rationals(rows, columns, rng)

    relu = [TinyLayer(draw(5, 3), singly(5)), TinyLayer(draw(4, 5), singly(4)), TinyLayer(draw(3, 4), singly(3))]
    pooled = [TinyLayer(draw(6, 3), [[0, 1, 2], [2, 3], [4, 5]], False), TinyLayer(draw(4, 3), [[0, 1], [2, 3]], False)]
    convolved = [
        TinyLayer(convolution(4, 5, draw(2, 2)), windows(3, 4, 2, 1)),
        TinyLayer(convolution(2, 3, draw(1, 2)), windows(2, 2, 2, 1)),
    ]
    return {
        "ReLU, four layers": (TinyLayers(relu, draw(1, 3)[0]), 3),
        "max-pooling, three layers": (TinyLayers(pooled, draw(1, 2)[0]), 3),
        "convolutions with ReLU and max-pooling": (TinyLayers(convolved, draw(1, 1)[0]), 20),
    }


@claim("zhang2021:homogeneity", fault="a bias: the last input is held fixed")
def homogeneity(trial: Trial) -> Finding:
    rng = np.random.default_rng(trial.seed)
    figures: dict[str, str | float | int] = {}
    holds, shapes = [], ""
    for name, (network, size) in networks(rng).items():
        found = [_euler_and_hessian(network, x, trial) for x in rationals(POINTS, size, rng)]
        holds += found
        figures[f"{name}: points where both hold exactly"] = f"{sum(found)} of {len(found)}"
        shapes = ", ".join(f"{len(s)} x {len(s[0])}" for s in network.piece([fmpq(1)] * size).selections)
    gaps, explained = _with_biases()
    largest, refused = _in_torch(trial.seed)
    figures |= {
        "S of the last network's layers, rows x columns": shapes,
        "with biases: f - grad f . x": gaps,
        "torch's convolutions and pooling in float64: largest entry of the Hessian": largest,
        "the library's test of f = grad f . x finds biases": str(refused),
    }
    holds += [explained, largest == 0, refused]
    reason = (
        "each layer is sigma(z) = S z with S constant inside finitely many cones, so f is linear in each; on their "
        "boundaries, a null set, there is no gradient. For max-pooling S is a selection matrix, with one 1 a row, not "
        "the diagonal matrix of the proof; biases are outside the class, and break f = grad f . x"
    )
    return Finding(verdict_of(all(holds)), reason, Evidence("exact", figures))


def _euler_and_hessian(network: TinyLayers, x: Vector, trial: Trial) -> bool:
    """f(x) = gradient . x; and in the ball that the piece reaches, first differences by it and no second ones."""
    piece = network.piece(x)
    free = len(x) - trial.plant(0, 1)
    if piece.reach_squared == 0 or not _selects(piece):
        return False
    at = network(x)
    straight = all(network(moved) == at + rise for moved, rise in _moves(piece, x))
    return bool(straight and at == dot(piece.gradient[:free], x[:free]))


def _moves(piece: Piece, x: Vector) -> Iterator[tuple[list[fmpq], fmpq]]:
    """x + v and gradient . v, for v = +-t e_j and their sums, |v| inside the ball; f is linear on what they span."""
    step = fmpq(1)
    while piece.reach_squared is not None and 4 * step * step > piece.reach_squared:
        step = step / 2
    for j, k in combinations_with_replacement(range(len(x)), 2):
        for s, t in product((-step, step), (fmpq(0), step)):
            v = [s * int(i == j) + t * int(i == k) for i in range(len(x))]
            yield [a + b for a, b in zip(x, v, strict=True)], dot(piece.gradient, v)


def _selects(piece: Piece) -> bool:
    """Each row of each S has at most one 1, and no other entry."""
    return all(sum(v != 0 for v in row) <= 1 and all(v in (0, 1) for v in row) for s in piece.selections for row in s)


def _with_biases() -> tuple[str, bool]:
    """f - grad f . x of a network with biases, and whether it is what they add up to on the linear piece."""
    network, x = tiny_relu(biases=True), [fmpq(1), fmpq(1, 2)]
    gaps = [f - dot(row, x) for f, row in zip(network(x), network.jacobian(x), strict=True)]
    return ", ".join(map(str, gaps)), gaps == network.constant(x) and any(gaps)


def _in_torch(seed: int) -> tuple[float, bool]:
    """torch's own layers on 7 x 6 images: the largest entry of the Hessian, and whether biases are found out."""

    def build(bias: bool) -> nn.Sequential:
        layers = [nn.Conv2d(1, 3, 2, bias=bias), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 2, 2, bias=bias)]
        return nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(4, 1, bias=bias)).double()

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        plain, biased, x = build(False), build(True), torch.randn(8, 1, 7, 6, dtype=torch.float64)
    require_homogeneous(plain, x)
    try:
        require_homogeneous(biased, x)
    except ValueError:
        return float(contracted_hessian(plain, x, torch.ones(8, 1, dtype=x.dtype)).detach().abs().max()), True
    return float("nan"), False
