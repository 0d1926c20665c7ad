"""The constants of Theorems 3.2 and B.1 on a sample, any mask law: against plain loops, and as a bound."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from msda_theory import Augmentation, Beta, Discrete, masks, taylor_loss
from msda_theory.bounds import SharedConstants, adversarial_taylor, shared_constants
from msda_theory.losses import Logistic
from tests.helpers import Model, assert_close, inputs
from verify.tolerances import rounding

RATIO = Beta(0.7, 1.3)
SHAPE = (2, 3)
MIXUP = Augmentation(RATIO, masks.Mixup(SHAPE))
SHARE = 2 * 0.7 * 1.3 / (2 * 3)  # E_D~[1-lambda] = 2 a b / ((a+b)(a+b+1))
LAWS = [
    MIXUP,
    *(Augmentation(RATIO, masks.CutMix(SHAPE, sampler="inside"), label) for label in ("nominal", "realised")),
    Augmentation(RATIO, masks.CutMix(SHAPE, sampler="clip")),
    Augmentation(RATIO, masks.GMix(SHAPE, kernel="released")),
    Augmentation(RATIO, masks.Stochastic(SHAPE, q=0.5, sampler="torus"), "realised"),
]


def on(size: int) -> Augmentation:
    return Augmentation(RATIO, masks.Mixup((size,)))


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
    found = shared_constants(models, x, y, MIXUP, 0.3)
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
    shortest = min(float(v.norm()) for v in x)
    assert_close(found.smallest_deviation, SHARE * shortest, rounding(torch.float64, shortest, 64))
    assert_close(found.radius(), found.cosine() * SHARE * shortest, rounding(torch.float64, shortest, 64))


@pytest.mark.parametrize("probability", [0.1, 0.5, 1.0])
def test_printed_cosine_is_theorem_32s(probability: float) -> None:
    models, x, y = pair(1)
    found = shared_constants(models[:1], x, y, MIXUP, 0.3)
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
        smallest_deviation=1.0,
    )
    root = math.sqrt(0.6 * 0.01 * 0.25 / (1.4 / 4 * 9 + 0.6 * 0.01 * 0.25))
    linear_part = 0.6 * 0.4 * 0.5 / (0.6 * 0.4 * 0.5 + 1.4 * 0.4 * 3)
    assert root < linear_part
    assert_close(constants.printed_cosine(0.6), 0.5 * root, rounding(torch.float32, 1.0, 16))


class Biased:
    """A leaky ReLU network with biases; near it, at `shift` of its outer weights, another."""

    def __init__(self, seed: int, shift: float = 0.0) -> None:
        draw = torch.Generator().manual_seed(seed)
        self.inner, self.bias, self.outer, self.offset, other = (
            torch.randn(shape, generator=draw, dtype=torch.float64) for shape in ((5, 6), (5,), (5,), (), (5,))
        )
        self.outer = self.outer + shift * other

    def __call__(self, z: Tensor) -> Tensor:
        return leaky_relu(z.flatten(1) @ self.inner.T + self.bias, 0.1) @ self.outer + self.offset

    def gradient(self, v: Tensor) -> list[float]:
        before = [
            sum(float(w[j] * v[j]) for j in range(6)) + float(b) for w, b in zip(self.inner, self.bias, strict=True)
        ]
        steps = [1.0 if b > 0 else 0.1 for b in before]
        return [
            sum(float(o * w[j]) * s for o, w, s in zip(self.outer, self.inner, steps, strict=True)) for j in range(6)
        ]


def first_moment(augmentation: Augmentation) -> list[float]:
    """E[N_j] over both roles from a list of all masks; at many nodes where the ratio is not a finite sum."""
    table = augmentation.table(64)
    given = 1 - table.masks.flatten(1)
    return [float(table.first @ given[:, j] + table.second @ (1 - given[:, j])) for j in range(given.shape[1])]


def seen(x: Tensor, augmentation: Augmentation) -> list[list[float]]:
    flat, n = x.flatten(1).tolist(), first_moment(augmentation)
    mean = [sum(row[j] for row in flat) / len(flat) for j in range(len(n))]
    return [[n[j] * (row[j] - mean[j]) for j in range(len(n))] for row in flat]


def towards(model: Biased, x: Tensor, augmentation: Augmentation) -> list[float]:
    """grad f . z."""
    rows = zip(x.flatten(1), seen(x, augmentation), strict=True)
    return [sum(g * v for g, v in zip(model.gradient(row), z, strict=True)) for row, z in rows]


def case(augmentation: Augmentation, seed: int) -> tuple[list[Model], Tensor, Tensor]:
    """Two biased networks, data whose mean is not 0, labels with all products (2y-1) grad f . z > 0 for both."""
    x = inputs(7, *SHAPE, seed=seed) + 0.5
    one = Biased(seed)
    signs = [v > 0 for v in towards(one, x, augmentation)]
    shift = next(
        t for t in (0.3, 0.1, 0.01, 1e-3) if [v > 0 for v in towards(Biased(seed, t), x, augmentation)] == signs
    )
    return [one, Biased(seed, shift)], x, torch.tensor(signs).double()


@pytest.mark.parametrize("augmentation", LAWS, ids=lambda a: f"{a.mask!r}-{a.label}")
def test_radius_for_any_mask_law_by_plain_loops(augmentation: Augmentation) -> None:
    """The definition, sample by sample and network by network, n from the list of all masks."""
    models, x, y = case(augmentation, 3)
    tau, deviations = 0.2, seen(x, augmentation)
    lengths = [math.sqrt(sum(v * v for v in z)) for z in deviations]
    slopes = [[math.sqrt(sum(g * g for g in model.gradient(row))) for row in x.flatten(1)] for model in models]
    products = [towards(model, x, augmentation) for model in models]
    good = [
        all(abs(p[i]) >= tau * s[i] * lengths[i] for p, s in zip(products, slopes, strict=True)) for i in range(len(x))
    ]
    assert 0 < sum(good) < len(x)
    odds, least = (len(x) - sum(good)) / sum(good), math.inf
    for model, slope in zip(models, slopes, strict=True):
        g = [1 / (1 + math.exp(-float(v))) for v in model(x)]
        off = [abs(v - t) for v, t in zip(g, y.tolist(), strict=True)]
        bend, ratio = [v * (1 - v) for v in g], max(slope) / min(v for v, ok in zip(slope, good, strict=True) if ok)
        root = 1 / math.sqrt(1 + odds * max(bend) * ratio**2 / min(bend))
        least = min(least, root, 1 / (1 + odds * max(off) * ratio / min(off)))
    found = shared_constants(models, x, y, augmentation, tau)
    assert found.good.tolist() == good
    # the quadrature over the ratio has no jump between the breaks, but the power (1-lambda)^-0.3 at an end
    assert_close(found.smallest_deviation, min(lengths), 1e-9 * min(lengths))
    assert_close(found.radius(), tau * least * min(lengths), 1e-9 * min(lengths))


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_a_bound_for_linear_models(seed: int) -> None:
    models, x, y = pair(seed)
    found = shared_constants(models, x, y, MIXUP, 0.2)
    assert 0 < found.printed_cosine(min(1.0, 2 * found.share)) <= found.cosine() <= 0.2
    _assert_bound(models, x, y, found.radius(), MIXUP)


@pytest.mark.filterwarnings("ignore::msda_theory.ZeroHessianNotice")
@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_a_bound_for_networks(seed: int) -> None:
    model, x = tent(seed), centred(seed=seed)
    y = predicted(model, x)
    found = shared_constants([model], x, y, MIXUP, 0.2)
    assert found.share > 0
    _assert_bound([model], x, y, found.radius(), MIXUP)


@pytest.mark.filterwarnings("ignore::msda_theory.ZeroHessianNotice")
@pytest.mark.parametrize("augmentation", LAWS, ids=lambda a: f"{a.mask!r}-{a.label}")
def test_the_radius_is_a_bound_for_any_mask_law(augmentation: Augmentation) -> None:
    for seed in range(3):
        models, x, y = case(augmentation, seed)
        found = shared_constants(models, x, y, augmentation, 0.1)
        assert found.share > 0
        _assert_bound(models, x, y, found.radius(), augmentation)


def test_the_mean_of_the_data_does_not_matter_for_a_model_with_a_bias() -> None:
    models, x, y = pair(0)
    shift = torch.arange(6.0).double().reshape(SHAPE)
    moved = [lambda z, model=model: model(z - shift) for model in models]
    at_0, at_shift = (shared_constants(m, v, y, MIXUP, 0.2) for m, v in ((models, x), (moved, x + shift)))
    assert_close(at_shift.radius(), at_0.radius(), rounding(torch.float64, 10.0, 64))


def test_no_radius_where_nothing_moves() -> None:
    """The clipped boxes on 2 x 3 pixels are all empty, and the realised label is that of the sample that is kept."""
    augmentation = Augmentation(RATIO, masks.CutMix(SHAPE, sampler="clip"), "realised")
    models, x, y = pair(0)
    found = shared_constants(models, x, y, augmentation, 0.2)
    assert found.smallest_deviation == found.share == found.radius() == 0


def test_channels_share_a_mask() -> None:
    law = Augmentation(RATIO, masks.CutMix((1, 3), sampler="inside"))
    x = inputs(6, 2, 1, 3, seed=1)
    n = torch.tensor(first_moment(law) * 2, dtype=torch.float64)
    found = shared_constants([linear(FIRST)], x, (x[:, 0, 0, 0] > x[:, 0, 0, 0].mean()).double(), law, 0.2)
    lengths = (n * (x - x.mean(0)).flatten(1)).norm(dim=1)
    assert_close(found.smallest_deviation, lengths.min(), 1e-9)


def _assert_bound(models: list[Model], x: Tensor, y: Tensor, radius: float, augmentation: Augmentation) -> None:
    for model in models:
        mixed = taylor_loss(model, Logistic(), x, y, augmentation).total
        assert mixed > float(adversarial_taylor(model, x, y, radius).mean())


def test_radius_of_samples_that_are_all_good() -> None:
    """x = +-e_1 and theta along e_1: every cosine is 1, so R~ = tau; E_D~[1-lambda] = 2 a b / ((a+b)(a+b+1))."""
    first = torch.eye(3, dtype=torch.float64)[0]
    found = shared_constants(
        [lambda z: z[:, 0]], torch.stack([2 * first, -2 * first]), torch.tensor([1, 0]), on(3), 0.9
    )
    assert found.share == 1 and found.cosine() == 0.9
    assert_close(found.radius(), 0.9 * 2 * SHARE, rounding(torch.float64, 1.0, 16))


def test_samples_far_from_the_boundary_keep_their_digits() -> None:
    """1 - g(50) is e^-50/(1 + e^-50), not 0."""
    x = torch.tensor([[50.0], [-50.0]], dtype=torch.float64)
    found = shared_constants([lambda z: z[:, 0]], x, torch.tensor([1, 0]), on(1), 0.5)
    assert_close(found.kappa_1 * math.exp(50), [1.0], rounding(torch.float64, 1.0, 16))
    assert_close(found.kappa * math.exp(50), [1.0], rounding(torch.float64, 1.0, 16))


def test_no_radius_where_no_sample_is_good() -> None:
    models, x, y = pair(2)
    found = shared_constants(models, x, y, MIXUP, 0.999)
    assert found.share == 0 and found.cosine() == 0 and found.radius() == 0 and found.printed_cosine(0.5) == 0


def test_a_sample_without_a_cosine_is_not_good() -> None:
    """x_3 = 0 for one, and at the two x on which the only unit is off for the other."""
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])
    found = shared_constants([lambda z: torch.relu(-z[:, 0])], x, torch.tensor([0, 0, 1, 1]), on(2), 0.5)
    assert found.good.tolist() == [False, False, True, False]
    assert found.smallest_deviation == 0 and found.radius() == 0


def test_a_sample_is_good_only_where_it_is_for_every_network() -> None:
    x = torch.tensor([[3.0, 1.0], [1.0, 3.0], [-3.0, -1.0], [-1.0, -3.0]])
    y = torch.tensor([1, 1, 0, 0])
    along, across = (shared_constants([lambda z, k=k: z[:, k]], x, y, on(2), 0.5).good for k in (0, 1))
    both = shared_constants([lambda z: z[:, 0], lambda z: z[:, 1]], x, y, on(2), 0.5).good
    assert along.tolist() == [True, False, True, False] and (~along).equal(across) and not both.any()


def test_float32_stays_float32() -> None:
    models, x, y = pair(0)
    total = lambda z: z.flatten(1).sum(1)  # noqa: E731
    found = shared_constants([total], x.float(), predicted(total, x), MIXUP, 0.3)
    assert found.kappa.dtype == torch.float32
    assert shared_constants(models, x, y, MIXUP, 0.3).kappa.dtype == torch.float64


@pytest.mark.parametrize("scale", [1.0, 1e9])
def test_a_product_that_is_0_but_for_rounding_is_none(scale: float) -> None:
    """theta at right angles to a sample, up to rounding, and the label on the other side."""
    theta = torch.tensor([0.1, 0.7, -0.3], dtype=torch.float64)
    x = torch.tensor([[7.0, -1.0, 0.0], [0.3, 0.0, 0.1], [1.0, 2.0, 0.0]], dtype=torch.float64)
    x = scale * torch.cat([x, -x])
    for side in (0, 1):
        y = torch.tensor([side, side, 1, 1 - side, 1 - side, 0])
        assert not shared_constants([linear(theta)], x, y, on(3), 0.5).good[[0, 1, 3, 4]].any()


def curved(z: Tensor) -> Tensor:
    return torch.tanh(z.flatten(1).sum(1))


X, FIRST = centred(), torch.eye(6, dtype=torch.float64)[0]
Y = predicted(linear(FIRST), X)


@pytest.mark.parametrize(
    ("models", "x", "y", "tau", "message"),
    [
        ([], X, Y, 0.3, "models is empty"),
        ([linear(FIRST)], X, Y, 1.0, "tau=1.0: needed is a number in (0, 1)"),
        ([linear(FIRST)], X, Y, 0.0, "tau=0.0: needed is a number in (0, 1)"),
        ([linear(FIRST)], X[:, :, :2], Y, 0.3, "the mask mixes arrays of shape (2, 3)"),
        ([linear(FIRST), linear(-FIRST)], X, Y, 0.3, "models[1] has (2y-1) grad f . z = -"),
        ([curved], X, predicted(curved, X), 0.3, "model: function has a Hessian"),
        ([lambda z: z.flatten(1)[:, :2]], X, Y, 0.3, "it has 2 outputs a sample"),
        ([linear(FIRST)], X, Y / 2, 0.3, "needed are labels 0 and 1"),
    ],
)
def test_errors_name_what_is_wrong(models: list[Model], x: Tensor, y: Tensor, tau: float, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        shared_constants(models, x, y, MIXUP, tau)


def test_the_error_names_the_sample_and_its_label() -> None:
    """Label 3 turned round: only there the product is below 0, whatever the mask law."""
    for augmentation in LAWS:
        models, x, y = case(augmentation, 0)
        y[3] = 1 - y[3]
        with pytest.raises(ValueError, match=rf"models\[0\].* at sample 3, whose label is {int(y[3])}") as refused:
            shared_constants(models, x, y, augmentation, 0.3)
        named = re.search(r"grad f \. z = (\S+) at", str(refused.value))
        expected = -abs(
            sum(g * v for g, v in zip(Biased(0).gradient(x[3].flatten()), seen(x, augmentation)[3], strict=True))
        )
        assert named is not None
        assert_close(float(named[1]), expected, 1e-5 * abs(expected), "printed to six digits")


def test_a_product_below_0_is_seen_beside_larger_samples() -> None:
    """At samples 1 and 2 the product is a rounding of 1e13; at sample 0 it is -1/2 times E_D~[1-lambda]."""
    large = torch.tensor([1e13, 1 - 1e13], dtype=torch.float64)
    small = torch.tensor([0.5, 0.0], dtype=torch.float64)
    x = torch.stack([small, large, -large, -small])
    with pytest.raises(ValueError, match=rf"z = {-0.5 * SHARE:.6g} at sample 0, whose label is 0"):
        shared_constants([lambda z: z.sum(1)], x, torch.zeros(4), on(2), 0.5)


def test_a_cosine_of_tau_is_good() -> None:
    """e_1 and (1, 1, 1, 1) have the cosine 1/2, and E_D~[1-lambda] = 1/2 at lambda = 1/2."""
    x, half = 2 * torch.ones(1, 4, dtype=torch.float64), Augmentation(Discrete((0.5,), (1.0,)), masks.Mixup((4,)))
    found = shared_constants([lambda z: z[:, 0]], torch.cat([x, -x]), torch.tensor([1, 0]), half, 0.5)
    assert found.good.tolist() == [True, True] and found.smallest_deviation == 2


def test_one_network_is_no_sequence_of_networks() -> None:
    """nn.Sequential is one of layers."""
    with pytest.raises(TypeError, match=r"models is one Sequential: needed is a sequence of networks, as in \[model\]"):
        shared_constants(tent(0), X, Y, MIXUP, 0.3)  # type: ignore[arg-type]


def test_an_augmentation_is_needed() -> None:
    with pytest.raises(TypeError, match="augmentation is a Beta: needed is an Augmentation"):
        shared_constants([linear(FIRST)], X, Y, RATIO, 0.3)  # type: ignore[arg-type]


@pytest.mark.parametrize("probability", [0.0, -0.1, 1.1])
def test_a_probability_lies_above_0_and_not_above_1(probability: float) -> None:
    models, x, y = pair(0)
    with pytest.raises(ValueError, match="probability"):
        shared_constants(models, x, y, MIXUP, 0.3).printed_cosine(probability)
