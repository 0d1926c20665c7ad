"""The rational networks and the exact attack in balls, against torch and against plain sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from flint import arb, ctx, fmpq
from torch import nn

from tests.helpers import assert_close
from verify.tiny_adversary import BITS, logistic, logistic_loss, order, second_order, worst_loss
from verify.tiny_layers import TinyLayer, TinyLayers, convolution, dot, rationals, singly, windows
from verify.tolerances import rounding


def number(value: fmpq) -> float:
    return int(value.p) / int(value.q)


def floats(rows: list[list[fmpq]]) -> torch.Tensor:
    return torch.tensor([[number(v) for v in row] for row in rows], dtype=torch.float64)


@pytest.mark.parametrize(("size", "stride"), [(2, 1), (2, 2), (3, 1)])
def test_convolution_and_windows_are_torchs(size: int, stride: int) -> None:
    rng = np.random.default_rng(0)
    kernel, last, x = rationals(2, 3, rng), rationals(1, 4 * 4, rng)[0], rationals(1, 5 * 6, rng)[0]
    pooled = windows(4, 4, size, stride)
    network = TinyLayers([TinyLayer(convolution(5, 6, kernel), pooled)], last[: len(pooled)])
    image = floats([x]).reshape(1, 1, 5, 6)
    hidden = nn.functional.conv2d(image, floats(kernel)[None, None]).relu()
    expected = nn.functional.max_pool2d(hidden, size, stride).flatten() @ floats([last])[0, : len(pooled)]
    assert_close(number(network(x)), expected, rounding(torch.float64, float(hidden.sum()) * 3, 32))


def networks(seed: int) -> tuple[TinyLayers, list[fmpq]]:
    rng = np.random.default_rng(seed)
    layers = [
        TinyLayer(rationals(6, 3, rng), [[0, 1], [1, 2], [3, 4, 5]], False),
        TinyLayer(rationals(4, 3, rng), singly(4)),
    ]
    return TinyLayers(layers, rationals(1, 4, rng)[0]), rationals(1, 3, rng)[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_piece_reaches_as_far_as_it_says(seed: int) -> None:
    """f is its gradient's on the ball; just beyond, at the nearest hyperplane, a decision changes."""
    network, x = networks(seed)
    piece = network.piece(x)
    assert piece.reach_squared is not None and piece.reach_squared > 0
    draw = np.random.default_rng(seed)
    changed = False
    for scale in (0.999, 1.2):
        for v in draw.normal(size=(400, 3)):
            v = v / np.linalg.norm(v) * math.sqrt(number(piece.reach_squared)) * scale
            moved = [a + fmpq(*float(b).as_integer_ratio()) for a, b in zip(x, v, strict=True)]
            same = network.piece(moved).selections == piece.selections
            assert scale > 1 or (same and network(moved) == dot(piece.gradient, moved))
            changed |= not same
    assert changed


def test_a_kink_has_no_reach() -> None:
    network = TinyLayers([TinyLayer([[fmpq(1), fmpq(-1)]], singly(1))], [fmpq(1)])
    assert network.piece([fmpq(2), fmpq(2)]).reach_squared == 0
    assert network.piece([fmpq(3), fmpq(1)]).reach_squared == 2


@pytest.mark.parametrize("y", [0, 1])
@pytest.mark.parametrize("f", [fmpq(-3, 2), fmpq(1, 3)])
def test_the_worst_loss_is_the_largest_on_a_grid(f: fmpq, y: int) -> None:
    reach = arb(fmpq(3, 4))
    grid = [logistic_loss(f + reach * fmpq(k, 20), y) for k in range(-20, 21)]
    worst = worst_loss(arb(f), reach, y)
    assert all(not value > worst for value in grid)
    assert any(value.overlaps(worst) for value in grid)


def test_second_order_by_differences() -> None:
    """Central differences at 2^-40 are off by their third derivative, at most 1, times 2^-80."""
    with ctx.workprec(BITS):
        f, step = arb(fmpq(2, 3)), fmpq(1, 2**40)
        below, at, above = (logistic_loss(f + k * step, 0) for k in (-1, 0, 1))
        assert abs(float((above - below) / (2 * step) - logistic(f))) < 2**-80
        bend = (above - 2 * at + below) / step**2
        assert abs(float(second_order(f, arb(1), 0) - at - logistic(f) - bend / 2)) < 2**-80


def test_order_is_read_off() -> None:
    assert order(lambda eta: arb(eta) ** 2 + arb(eta) ** 3) == pytest.approx(2, abs=1e-6)
