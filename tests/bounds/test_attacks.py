"""Attacks against closed forms, exact maxima in the plane, and foolbox."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from msda_theory.bounds import Attack, adversarial_loss_linear, attacks, fast_gradient, projected_gradient
from msda_theory.losses import Logistic, Loss, SoftmaxCrossEntropy
from tests.helpers import TanhNetwork, assert_close, inputs, relu_network
from verify.disc_attack import worst_points
from verify.tolerances import FALSE_ALARM, rounding

M, INF = 6, math.inf
X, Y = inputs(M, 2, seed=3), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
RADII = torch.tensor([0.1, 0.3, 0.7, 0.02, 1.1, 0.4], dtype=torch.float64)
Attacker = Callable[..., Attack]
ATTACKS: dict[str, Attacker] = {"pgd": projected_gradient, "fgsm": fast_gradient}
every_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
every_norm = pytest.mark.parametrize("norm", [2, INF])


def linear(*sizes: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(*sizes).double()


def norm_of(moved: Tensor, norm: float) -> Tensor:
    return torch.linalg.vector_norm(moved.flatten(1), norm, dim=1)


@every_attack
@every_norm
@pytest.mark.parametrize("radius", [0.5, RADII], ids=["one radius", "a radius a sample"])
def test_linear_model_is_attacked_in_full(attack: Attacker, norm: float, radius: float | Tensor) -> None:
    model = linear(2, 1)
    exact = adversarial_loss_linear(model.weight[0], X, Y, radius, bias=model.bias.item(), norm=norm)
    found = attack(model, X, Y, radius, norm=norm).loss
    assert_close(found, exact, rounding(torch.float64, 10.0, 100), "attack on a linear model")


@every_norm
def test_attack_on_a_linear_model_grows_with_the_radius(norm: float) -> None:
    losses = [projected_gradient(linear(2, 1), X, Y, r, norm=norm, restarts=0).loss for r in (0.1, 0.2, 0.4)]
    assert bool((losses[0] < losses[1]).all() and (losses[1] < losses[2]).all())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("radius", [0.1, 0.5, 2.0])
def test_attack_nears_the_exact_maximum_from_below(seed: int, radius: float) -> None:
    model, loss = relu_network(seed), Logistic()
    with torch.no_grad():
        truth = loss(model(worst_points(model, loss, X, Y.unsqueeze(1), radius)), Y.unsqueeze(1))
        clean = loss(model(X), Y.unsqueeze(1))
    found = projected_gradient(model, X, Y, radius, steps=100, restarts=10, seed=0).loss
    assert bool((found <= truth * (1 + 1e-12)).all())
    assert bool((found - clean >= 0.99 * (truth - clean)).all())


@every_attack
@every_norm
@pytest.mark.parametrize("shape", [(2,), (1, 4, 5), (3, 2, 2)], ids=str)
def test_points_are_in_the_ball_with_the_loss_told_and_never_below_the_clean_one(
    attack: Attacker, norm: float, shape: tuple[int, ...]
) -> None:
    x, model, loss = inputs(M, *shape), TanhNetwork(shape), Logistic()
    before = x.clone()
    found = attack(model, x, Y, RADII, norm=norm)
    with torch.no_grad():
        told, clean = (loss(model(at), Y.unsqueeze(1)) for at in (found.x, x))
    assert found.x.shape == x.shape
    assert bool((norm_of(found.x - x, norm) <= RADII * (1 + 1e-12)).all())
    assert_close(found.loss, told, rounding(torch.float64, 10.0, 100), "loss of the attack")
    assert bool((found.loss >= clean).all())
    assert torch.equal(x, before)
    assert all(p.grad is None for p in model.parameters())
    assert not found.x.requires_grad and not found.loss.requires_grad


@every_attack
def test_where_the_gradient_leads_down_the_sample_stays(attack: Attacker) -> None:
    """f rises at x and falls from 0.1 on, far below f(x) at the end of the full step."""

    def model(x: Tensor) -> Tensor:
        return x[:, :1] - 5 * (x[:, :1] - 0.1).clamp(min=0) - 5 * (-0.1 - x[:, :1]).clamp(min=0)

    x = torch.zeros(2, 3, dtype=torch.float64)
    found = attack(model, x, torch.zeros(2), 1.0, norm=INF)
    assert bool((found.loss >= math.log(2)).all())
    assert bool(attack is projected_gradient or (found.x == 0).all())


@every_attack
def test_where_no_point_is_worse_the_sample_stays(attack: Attacker) -> None:
    assert torch.equal(attack(lambda x: 0 * x.sum(1) + 1, X, Y, 1.0).x, X)


def test_restarts_leave_a_point_without_a_gradient() -> None:
    def model(x: Tensor) -> Tensor:
        return x.square().sum(1)

    x, y = torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3)
    assert bool((projected_gradient(model, x, y, 1.0, restarts=0).x == 0).all())
    found = projected_gradient(model, x, y, 1.0, restarts=1, seed=0)
    assert_close(norm_of(found.x, 2), torch.ones(3, dtype=torch.float64), 1e-12, "distance")


@every_norm
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_starts_are_uniform_in_each_ball(norm: float, dtype: torch.dtype) -> None:
    """In the cube each coordinate is uniform; in the ball |delta|^3 is, and a coordinate of delta/|delta|.

    Kolmogorov's test of 2000 draws, the false alarms shared among all.
    """
    radii = torch.linspace(0.1, 5, 2000, dtype=dtype)
    problem = attacks._Problem(
        nn.Linear(3, 1).to(dtype), torch.zeros(2000, 3, dtype=dtype), torch.zeros(2000), radii, None, norm
    )
    drawn = problem.random(torch.Generator().manual_seed(0))
    assert drawn.dtype == dtype
    shares = (drawn / radii.unsqueeze(1)).double()
    length = shares.norm(dim=1, keepdim=True)
    columns = (shares + 1) / 2 if norm == INF else torch.cat([length**3, (shares / length + 1) / 2], 1)
    for column in columns.T:
        assert float(column.min()) >= 0 and float(column.max()) <= 1 + rounding(dtype, 1.0, 8)
        assert kstest(column.numpy(), "uniform").pvalue > FALSE_ALARM / (2 * 7)


def test_seed_decides_and_the_global_generator_is_left_alone() -> None:
    model, before = relu_network(0), torch.random.get_rng_state()
    one, same, other = (projected_gradient(model, X, Y, 2.0, steps=2, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.x, same.x) and not torch.equal(one.x, other.x)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_defaults_are_those_of_the_signature() -> None:
    model = TanhNetwork((2,))
    found, said = (projected_gradient(model, X, Y, 2.0, seed=0, **o) for o in ({}, {"steps": 40, "restarts": 4}))
    assert torch.equal(found.x, said.x)


@every_attack
@every_norm
def test_dtype_is_the_caller_s_and_no_grad_is_no_hindrance(attack: Attacker, norm: float) -> None:
    with torch.no_grad():
        found = attack(relu_network(0).float(), X.float(), Y, RADII, norm=norm)
    assert found.x.dtype == found.loss.dtype == torch.float32


@every_attack
def test_a_sample_alone_and_one_of_radius_zero(attack: Attacker) -> None:
    model = relu_network(2)
    alone = attack(model, X[:1], Y[:1], 0.1)
    assert_close(alone.loss, attack(model, X, Y, 0.1).loss[:1], 1e-12, "one sample")
    still = attack(model, X, Y, torch.zeros(M, dtype=torch.float64))
    assert torch.equal(still.x, X)


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"radius": 0.0}, ValueError, "radius=0.0"),
    ({"radius": -1}, ValueError, "radius=-1"),
    ({"radius": -RADII}, ValueError, r"radius\[0\] = -0.1"),
    ({"radius": RADII[:2]}, ValueError, r"radius has shape \(2,\)"),
    ({"norm": 1}, ValueError, "norm=1: needed is 2 or inf"),
    ({"loss": "logistic"}, TypeError, "loss is 'logistic'"),
    ({"y": Y + 2}, ValueError, r"needs labels in \[0, 1\]"),
    ({"x": X[:0], "y": Y[:0]}, ValueError, "x holds 0 sample"),
    ({"model": nn.Sequential(nn.Dropout(), nn.Linear(2, 1)).double()}, ValueError, "Dropout '0' is in train mode"),
]


@every_attack
@pytest.mark.parametrize(
    ("change", "error", "words"), BAD, ids=lambda v: next(iter(v)) if isinstance(v, dict) else None
)
def test_refuses(attack: Attacker, change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        attack(**{"model": relu_network(0), "x": X, "y": Y, "radius": 0.5} | change)


@pytest.mark.parametrize(("change", "words"), [({"steps": 0}, "steps=0"), ({"restarts": -1}, "restarts=-1")])
def test_refuses_counts(change: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        projected_gradient(relu_network(0), X, Y, 0.5, **change)


class TwoLogits(nn.Module):
    """The classifier with logits (0, f): its cross-entropy is the logistic loss of f."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        f = self.network(x)
        return torch.cat([torch.zeros_like(f), f], 1)


STEPS = 15
FOOLBOX: list[tuple[str, dict[str, Any], Attacker, float]] = [
    ("L2ProjectedGradientDescentAttack", {"steps": STEPS}, projected_gradient, 2),
    ("LinfProjectedGradientDescentAttack", {"steps": STEPS}, projected_gradient, INF),
    ("L2FastGradientAttack", {}, fast_gradient, 2),
    ("LinfFastGradientAttack", {}, fast_gradient, INF),
]


@pytest.mark.parametrize(("name", "options", "attack", "norm"), FOOLBOX, ids=[row[0] for row in FOOLBOX])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("classes", [False, True], ids=["one output", "two outputs"])
def test_against_foolbox(
    name: str, options: dict[str, Any], attack: Attacker, norm: float, seed: int, classes: bool
) -> None:
    """From the centre and with equal steps the same points are visited; foolbox keeps the last, we the worst."""
    foolbox = pytest.importorskip("foolbox")
    model, radius = relu_network(seed), 0.6
    two = TwoLogits(model).eval()
    theirs = foolbox.PyTorchModel(two, bounds=(-100, 100))
    if attack is projected_gradient:
        options = options | {"rel_stepsize": 2.5 / STEPS}
    attacker = getattr(foolbox.attacks, name)(random_start=False, **options)
    _, points, _ = attacker(theirs, X, Y.long(), epsilons=radius)
    ours: tuple[Any, Tensor, Loss] = (two, Y.long(), SoftmaxCrossEntropy()) if classes else (model, Y, Logistic())
    limits = {"steps": STEPS, "restarts": 0} if attack is projected_gradient else {}
    found = attack(ours[0], X, ours[1], radius, ours[2], norm=norm, **limits)
    with torch.no_grad():
        clean, last = (Logistic()(model(at), Y.unsqueeze(1)) for at in (X, points))
    slack = rounding(torch.float64, 10.0, 1000)
    assert bool((found.loss >= torch.maximum(clean, last) - slack).all())
    if attack is fast_gradient:
        assert_close(found.loss, torch.maximum(clean, last), slack, "fast gradient")
