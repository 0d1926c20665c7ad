"""The constants of Theorems 3.2 and B.1 on a sample: against plain loops, and as a bound."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor, nn

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.bounds import SharedConstants, adversarial_taylor, shared_constants
from msda_theory.losses import Logistic
from tests.helpers import Model, assert_close, inputs, relu_network
from verify.tolerances import rounding

RATIO = Beta(0.7, 1.3)
SHAPE = (2, 3)


def linear(theta: Tensor) -> Model:
    return lambda z: z.flatten(1) @ theta


def tent(seed: int) -> nn.Module:
    """A bias-free ReLU network."""
    draw = torch.Generator().manual_seed(seed)
    layers = [nn.Flatten(), nn.Linear(6, 5, bias=False), nn.ReLU(), nn.Linear(5, 1, bias=False)]
    network = nn.Sequential(*layers).double().requires_grad_(False)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
    return network


def centred(samples: int = 9, seed: int = 0) -> Tensor:
    x = inputs(samples, *SHAPE, seed=seed)
    return x - x.mean(0)


def predicted(model: Model, x: Tensor) -> Tensor:
    with torch.no_grad():
        return (model(x).flatten() > 0).double()


def pair(seed: int) -> tuple[list[Model], Tensor, Tensor]:
    """Two linear models that agree on the data."""
    x, draw = centred(seed=seed), torch.Generator().manual_seed(seed)
    theta = torch.randn(6, generator=draw, dtype=torch.float64)
    models = [linear(theta), linear(1.5 * theta)]
    return models, x, predicted(models[0], x)


def test_constants_of_linear_models_by_plain_loops() -> None:
    models, x, y = pair(0)
    found = shared_constants(models, x, y, 0.3)
    for k, model in enumerate(models):
        gradient = torch.stack([model(unit.reshape(1, *SHAPE)) for unit in torch.eye(6).double()]).flatten()
        length = float(gradient.norm())
        g = [1 / (1 + math.exp(-float(v))) for v in model(x)]
        expected = [
            min(v * (1 - v) for v in g),
            min(abs(v - t) for v, t in zip(g, y.tolist(), strict=True)),
            max(abs(v - t) for v, t in zip(g, y.tolist(), strict=True)),
            length,
            length,
            max(v * (1 - v) for v in g),
        ]
        names = ("kappa", "kappa_1", "kappa_2", "tau_1", "tau_2", "curvature")
        for name, value in zip(names, expected, strict=True):
            assert_close(getattr(found, name)[k], value, rounding(torch.float64, 1 + length, 32), name)
    cosines = [abs(float(models[0](v.unsqueeze(0)))) / float(v.norm()) for v in x]
    length = float(found.tau_1[0])
    assert found.good.tolist() == [c / length >= 0.3 for c in cosines]
    assert found.share == sum(found.good.tolist()) / len(x)
    assert found.smallest_input == min(float(v.norm()) for v in x)


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_printed_cosine_is_theorem_32s(probability: float) -> None:
    models, x, y = pair(1)
    found = shared_constants(models[:1], x, y, 0.3)
    kappa, low, high = (float(v) for v in (found.kappa, found.kappa_1, found.kappa_2))
    first = probability * low / (2 * high - probability * (high - low))
    second = math.sqrt(4 * kappa * probability / (2 - probability + 4 * kappa * probability))
    assert_close(found.printed_cosine(probability), 0.3 * min(first, second), rounding(torch.float64, 1.0, 16))


def test_printed_cosine_is_theorem_b1s() -> None:
    constants = SharedConstants(
        tau=0.5,
        good=torch.tensor([True, False]),
        kappa=torch.tensor([0.01]),
        kappa_1=torch.tensor([0.4]),
        kappa_2=torch.tensor([0.4]),
        tau_1=torch.tensor([0.5]),
        tau_2=torch.tensor([3.0]),
        curvature=torch.tensor([0.2]),
        smallest_input=1.0,
    )
    root = math.sqrt(0.6 * 0.01 * 0.25 / (1.4 / 4 * 9 + 0.6 * 0.01 * 0.25))
    linear_part = 0.6 * 0.4 * 0.5 / (0.6 * 0.4 * 0.5 + 1.4 * 0.4 * 3)
    assert root < linear_part
    assert_close(constants.printed_cosine(0.6), 0.5 * root, rounding(torch.float32, 1.0, 16))


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_a_bound_for_linear_models(seed: int) -> None:
    models, x, y = pair(seed)
    found = shared_constants(models, x, y, 0.2)
    assert 0 < found.printed_cosine(min(1.0, 2 * found.share)) <= found.cosine() <= 0.2
    _assert_bound(models, x, y, found.radius(RATIO))


@pytest.mark.filterwarnings("ignore::msda_theory.ZeroHessianNotice")
@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_a_bound_for_networks(seed: int) -> None:
    model, x = tent(seed), centred(seed=seed)
    y = predicted(model, x)
    found = shared_constants([model], x, y, 0.2)
    assert found.share > 0
    _assert_bound([model], x, y, found.radius(RATIO))


def _assert_bound(models: list[Model], x: Tensor, y: Tensor, radius: float) -> None:
    for model in models:
        mixed = taylor_loss(model, Logistic(), x, y, Augmentation(RATIO, masks.Mixup(SHAPE))).total
        assert mixed > float(adversarial_taylor(model, x, y, radius).mean())


def test_radius_of_samples_that_are_all_good() -> None:
    """x = +-e_1 and theta along e_1: every cosine is 1, so R~ = tau; E_D~[1-lambda] = 2 a b / ((a+b)(a+b+1))."""
    first = torch.eye(3, dtype=torch.float64)[0]
    found = shared_constants([lambda z: z[:, 0]], torch.stack([2 * first, -2 * first]), torch.tensor([1, 0]), 0.9)
    assert found.share == 1 and found.cosine() == 0.9
    assert_close(found.radius(RATIO), 0.9 * 2 * 2 * 0.7 * 1.3 / (2 * 3), rounding(torch.float64, 1.0, 16))


def test_samples_far_from_the_boundary_keep_their_digits() -> None:
    """1 - g(50) is e^-50/(1 + e^-50), not 0."""
    x = torch.tensor([[50.0], [-50.0]], dtype=torch.float64)
    found = shared_constants([lambda z: z[:, 0]], x, torch.tensor([1, 0]), 0.5)
    assert_close(found.kappa_1 * math.exp(50), [1.0], rounding(torch.float64, 1.0, 16))
    assert_close(found.kappa * math.exp(50), [1.0], rounding(torch.float64, 1.0, 16))


def test_no_radius_where_no_sample_is_good() -> None:
    models, x, y = pair(2)
    found = shared_constants(models, x, y, 0.999)
    assert found.share == 0 and found.cosine() == 0 and found.radius(RATIO) == 0 and found.printed_cosine(0.5) == 0


def test_a_sample_without_a_cosine_is_not_good() -> None:
    """x_3 = 0 for one, and at the two x on which the only unit is off for the other."""
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])
    found = shared_constants([lambda z: torch.relu(-z[:, 0])], x, torch.tensor([0, 0, 1, 1]), 0.5)
    assert found.good.tolist() == [False, False, True, False]
    assert found.smallest_input == 0 and found.radius(RATIO) == 0


def test_a_sample_is_good_only_where_it_is_for_every_network() -> None:
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0], [-3.0, -1.0], [-1.0, -3.0]])
    y = torch.tensor([1, 1, 0, 0])
    along, across = (shared_constants([lambda z, k=k: z[:, k]], x, y, 0.5).good for k in (0, 1))
    both = shared_constants([lambda z: z[:, 0], lambda z: z[:, 1]], x, y, 0.5).good
    assert along.tolist() == [True, False, True, False] and (~along).equal(across) and not both.any()


def test_float32_stays_float32() -> None:
    models, x, y = pair(0)
    found = shared_constants(
        [lambda z: z.flatten(1).sum(1)], x.float(), predicted(lambda z: z.flatten(1).sum(1), x), 0.3
    )
    assert found.kappa.dtype == torch.float32
    assert shared_constants(models, x, y, 0.3).kappa.dtype == torch.float64


def biased(z: Tensor) -> Tensor:
    return z.flatten(1).sum(1) + 0.5


def curved(z: Tensor) -> Tensor:
    return torch.tanh(z.flatten(1).sum(1))


X, FIRST = centred(), torch.eye(6, dtype=torch.float64)[0]
Y = predicted(linear(FIRST), X)


@pytest.mark.parametrize(
    ("models", "x", "y", "tau", "message"),
    [
        ([], X, Y, 0.3, "models is empty"),
        ([linear(FIRST)], X, Y, 1.0, "tau=1.0: needed is a number in (0, 1)"),
        ([linear(FIRST)], X + 1, Y, 0.3, "x has a mean of up to 1 a coordinate: needed is centred data"),
        ([linear(FIRST), linear(-FIRST)], X, Y, 0.3, "models[1] has f ="),
        ([biased], X, predicted(biased, X), 0.3, "biased has f ="),
        ([curved], X, predicted(curved, X), 0.3, "curved has f ="),
        ([relu_network(0)], centred()[:, :, :2].flatten(1)[:, :2], Y, 0.3, "Sequential has f ="),
        ([linear(FIRST)], X, Y / 2, 0.3, "needed are labels 0 and 1"),
    ],
)
def test_errors_name_what_is_wrong(models: list[Model], x: Tensor, y: Tensor, tau: float, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        shared_constants(models, x, y, tau)


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1])
def test_a_probability_lies_above_0_and_not_above_1(probability: float) -> None:
    models, x, y = pair(0)
    with pytest.raises(ValueError, match="probability"):
        shared_constants(models, x, y, 0.3).printed_cosine(probability)
