"""The expansion about mean mixed points: moments and spreads against loops, where it is exact, and its order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import ZeroHessianNotice
from msda_theory.augmentation import LABEL_RULES
from msda_theory.expansions import leading_moments
from msda_theory.expansions.leading import leading_draws, leading_means
from msda_theory.expansions.mean_point import LeadingMoments, mean_point_terms
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from tests import oracles
from tests.helpers import LOSSES, LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from verify.tolerances import rounding

SHAPE = (3, 4)
HALF = Fraction(1, 2)
RATIO = mt.Beta(0.3, 2.0)
#: law, its twin, the ratios at which it jumps
LAWS: list[tuple[MaskLaw, oracles.Law, tuple[Fraction, ...]]] = [
    (Mixup((2,)), oracles.mixup(2), ()),
    (Bernoulli((2,)), oracles.bernoulli(2), ()),
    *((CutMix(SHAPE, sampler=s), oracles.box(SHAPE, s), oracles.box_jumps(SHAPE)) for s in SAMPLERS),
    (HMix(SHAPE, r=0.5, sampler="clip"), oracles.box(SHAPE, "clip", HALF), oracles.box_jumps(SHAPE, HALF)),
    (GMix((2, 3), kernel="released"), oracles.gmix((2, 3), "released"), (HALF,)),
    (
        Stochastic(SHAPE, q=0.25, sampler="inside"),
        oracles.either(Fraction(1, 4), oracles.mixup(12), oracles.box(SHAPE, "inside")),
        oracles.box_jumps(SHAPE),
    ),
]
every_law = pytest.mark.parametrize(("law", "twin", "jumps"), LAWS, ids=[repr(law) for law, _, _ in LAWS])
every_label = pytest.mark.parametrize("label", LABEL_RULES)


def seen_from_leading(twin: oracles.Law, ratio: float, label: str) -> Iterator[tuple[float, list[float], float]]:
    """(probability, share N of the partner, its label weight) of every mask at a ratio."""
    for probability, mask in twin(ratio):
        kept = [float(v) for v in mask]
        share = [1 - v for v in kept] if ratio >= 0.5 else kept
        omega = min(ratio, 1 - ratio) if label == "nominal" else sum(share) / len(share)
        yield float(probability), share, omega


@every_law
@every_label
def test_moments_against_loops_over_ratios_and_masks(
    law: MaskLaw, twin: oracles.Law, jumps: tuple[Fraction, ...], label: str
) -> None:
    d = law.size
    first, second, cross, mean_label = np.zeros(d), np.zeros((d, d)), np.zeros(d), 0.0
    for ratio, _, weight in oracles.ratio_nodes(RATIO.a, RATIO.b, sorted({*jumps, HALF})):
        for probability, share, omega in seen_from_leading(twin, ratio, label):
            for j in range(d):
                first[j] += weight * probability * share[j]
                cross[j] += weight * probability * omega * share[j]
                for k in range(d):
                    second[j, k] += weight * probability * share[j] * share[k]
            mean_label += weight * probability * omega
    found = leading_moments(mt.Augmentation(RATIO, law, label))
    # what leading_moments states, and the twin's error on smooth cells; GMix's bumps are not analytic at both ends
    tolerance = found.error + (1e-8 if isinstance(law, GMix) else 10 * oracles.QUADRATURE_ERROR)
    assert_close(found.first, first, tolerance, "E[N]")
    assert_close(found.second, second, tolerance, "E[N N^T]")
    assert_close(found.cross, cross, tolerance, "E[omega N]")
    assert_close(found.label, mean_label, tolerance, "E[omega]")


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_has_the_moments_of_carratino(alpha: float) -> None:
    """theta ~ Beta(alpha, alpha) cut to [1/2, 1]: 1 - E[theta], and sigma^2 + (1 - E[theta])^2."""
    moments = leading_moments(mt.Augmentation(mt.Beta(alpha, alpha), Mixup((2,))))
    density = stats.beta(alpha, alpha).pdf
    mean, square = (integrate.quad(lambda t, p=p: 2 * (1 - t) ** p * density(t), 0.5, 1)[0] for p in (1, 2))
    assert moments.label == pytest.approx(mean, abs=1e-6)
    assert_close(moments.first, [mean] * 2, 1e-6)
    assert_close(moments.second, [[square] * 2] * 2, 1e-6)
    assert_close(moments.cross, [square] * 2, 1e-6)


# -- where it is exact, and what is left


def allowed(exact: mt.ExactLoss, moments: LeadingMoments, size: int) -> float:
    scale = 100.0 * (1 + abs(exact.value))
    return exact.error + moments.error * scale * size**2 + rounding(torch.float64, scale, size**2 + 100)


@every_law
@every_label
def test_exact_for_affine_networks_with_the_squared_loss(
    law: MaskLaw, twin: oracles.Law, jumps: tuple[Fraction, ...], label: str
) -> None:
    """Channels share the mask, three outputs, data far from centred."""
    shape, loss, augmentation = (2, *law.shape), mt.losses.Squared(), mt.Augmentation(RATIO, law, label)
    x, y, model = inputs(3, *shape), labels(loss, 3, 3), Quadratic(shape, 3, curved=False)
    exact = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-11)
    theory = mt.mean_point_loss(model, loss, x, y, augmentation)
    tolerance = allowed(exact, leading_moments(augmentation), x[0].numel())
    assert_close(theory.total, exact.value, tolerance, str(theory))
    parts = [theory.standard, theory.label, theory.r2]
    assert all(abs(part) > 1e3 * tolerance for part in parts), "a term that is zero tests nothing"


ATOMS = mt.Discrete((0.2, 0.5, 0.9), (0.3, 0.3, 0.4))
BOX = CutMix((2, 3), sampler="inside")


class Pairs:
    """Every mixed point and label of a finite augmentation, by the leading sample; plain loops."""

    def __init__(self, x: Tensor, y: Tensor, label: str = "nominal") -> None:
        m, flat = len(x), x.flatten(1)
        self.weight, self.point, self.label, leading = [], [], [], []
        twin = oracles.box((2, 3), "inside")
        for ratio, chance in zip(ATOMS.values, ATOMS.weights, strict=True):
            for probability, mask in twin(ratio):
                keep = torch.tensor([float(v) for v in mask], dtype=torch.float64)
                w = ratio if label == "nominal" else float(keep.mean())
                for i in range(m):
                    for j in range(m):
                        self.weight.append(chance * float(probability) / m**2)
                        self.point.append(keep * flat[i] + (1 - keep) * flat[j])
                        self.label.append(w * y[i] + (1 - w) * y[j])
                        leading.append(i if ratio >= 0.5 else j)
        self.w, z, v = torch.tensor(self.weight, dtype=torch.float64), torch.stack(self.point), torch.stack(self.label)
        own = [torch.tensor([k == i for k in leading]) for i in range(m)]
        self.of = torch.tensor(leading)
        self.m = torch.stack([(self.w[k, None] * z[k]).sum(0) / self.w[k].sum() for k in own])
        self.y = torch.stack([(self.w[k, None] * v[k]).sum(0) / self.w[k].sum() for k in own])
        self.delta, self.eta, self.shape = z - self.m[self.of], v - self.y[self.of], x.shape[1:]

    def loss(self, model: Callable[[Tensor], Tensor], loss: mt.losses.Loss, eps: float) -> float:
        """E[ l(m + eps delta, ybar + eps eta) ]."""
        points = (self.m[self.of] + eps * self.delta).reshape(-1, *self.shape)
        return float((self.w * loss(model(points), self.y[self.of] + eps * self.eta)).sum().detach())


@every_label
def test_what_a_quadratic_network_leaves(label: str) -> None:
    """-E[eta . nabla^2 f(delta, delta)]/2, by loops over pairs and masks."""
    loss, augmentation = LinearLoss(), mt.Augmentation(ATOMS, BOX, label)
    x, y, model = inputs(4, 2, 3), labels(loss, 4, 2), Quadratic((2, 3), 2)
    pairs = Pairs(x, y, label)
    bend = torch.einsum("nd,kde,ne->nk", pairs.delta, model.curvature, pairs.delta)
    left = -float((pairs.w * (pairs.eta * bend).sum(-1)).sum().detach()) / 2
    exact = mt.exact_loss(model, loss, x, y, augmentation)
    theory = mt.mean_point_loss(model, loss, x, y, augmentation)
    tolerance = allowed(exact, leading_moments(augmentation), 6)
    assert_close(exact.value - theory.total, left, tolerance)
    assert abs(left) > 1e3 * tolerance
    same = torch.full_like(y, 0.4)  # one label for all: nothing is left
    gap = (
        mt.exact_loss(model, loss, x, same, augmentation).value
        - mt.mean_point_loss(model, loss, x, same, augmentation).total
    )
    assert_close(gap, 0.0, tolerance)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@every_label
def test_the_remainder_is_of_third_order_about_the_mean_points(loss: mt.losses.Loss, label: str) -> None:
    """E[l(m + eps delta, ybar + eps eta)] less value and eps^2 times the terms falls off as eps^3."""
    x, outputs = inputs(4, 2, 3), 2
    y, model = labels(loss, 4, outputs), TanhNetwork((2, 3), outputs)
    pairs = Pairs(x, y, label)
    theory = mt.mean_point_loss(model, loss, x, y, mt.Augmentation(ATOMS, BOX, label))
    assert_close(pairs.loss(model, loss, 0.0), theory.standard, rounding(torch.float64, 10.0, 100))
    exact = mt.exact_loss(model, loss, x, y, mt.Augmentation(ATOMS, BOX, label))
    assert_close(pairs.loss(model, loss, 1.0), exact.value, exact.error + rounding(torch.float64, 10.0, 100))
    steps = [2.0**-k for k in (7, 6, 5)]
    left = [pairs.loss(model, loss, eps) - theory.standard - eps**2 * theory.second for eps in steps]
    slope = np.polyfit(np.log2(steps), np.log2(np.abs(left)), 1)[0]
    assert abs(slope - 3) < 0.25, left
    for name in ("label", "r2", "r3"):  # each term is needed
        fault = [gap + eps**2 * getattr(theory, name) / 2 for gap, eps in zip(left, steps, strict=True)]
        assert np.polyfit(np.log2(steps), np.log2(np.abs(fault)), 1)[0] < 2.6, name


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("ratio", [mt.Beta(0.4, 0.4), mt.Beta(0.3, 2.0)], ids=repr)
def test_for_mixup_it_is_the_approximate_risk_of_carratino(loss: mt.losses.Loss, ratio: mt.RatioLaw) -> None:
    """Written apart, from their Theorem 3."""
    x, y, model = inputs(5, 2), labels(loss, 5, 2), TanhNetwork((2,), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mt.CancellingTermsWarning)
        risk = mt.approximate_mixup_risk(model, loss, x, y, ratio)
    theory = mt.mean_point_loss(model, loss, x, y, mt.Augmentation(ratio, Mixup((2,))))
    assert_close(theory.total, risk.total, 1e-9 * (1 + abs(risk.total)))


@pytest.mark.parametrize("fault", ["first", "second", "label", "cross"])
def test_wrong_moments_are_noticed(fault: str) -> None:
    loss, augmentation = mt.losses.Squared(), mt.Augmentation(ATOMS, BOX)
    x, y, model = inputs(3, 2, 3), labels(loss, 3, 1), Quadratic((2, 3), 1, curved=False)
    right = leading_moments(augmentation)
    wrong = {name: getattr(right, name) for name in ("first", "second", "label", "cross", "error")}
    wrong[fault] = 1 - wrong[fault]
    exact = mt.exact_loss(model, loss, x, y, augmentation)
    terms, label = mean_point_terms(model, loss, x, y, LeadingMoments(**wrong))
    assert abs(float((terms.total + label).detach()) - exact.value) > 1e3 * allowed(exact, right, 6)


# -- notices, dtypes, bad input


def of(model: nn.Module) -> mt.MeanPointLoss:
    x, loss = inputs(5, 2), mt.losses.Logistic()
    return mt.mean_point_loss(model, loss, x, labels(loss, 5, 1), mt.Augmentation(RATIO, Mixup((2,))))


def test_a_relu_network_gets_a_notice_and_others_none() -> None:
    with pytest.warns(ZeroHessianNotice, match="R3 is 0"):
        assert of(relu_network(0)).r3 == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZeroHessianNotice)
        of(TanhNetwork((2,)))
        of(nn.Linear(2, 1).double())


def test_the_notice_points_at_the_caller() -> None:
    with pytest.warns(ZeroHessianNotice) as caught:
        of(relu_network(0))
    assert caught[0].filename == __file__


def test_at_one_half_the_first_sample_leads() -> None:
    """CutMix takes one pixel of four there: that is the partner's share, and not the other three."""
    augmentation = mt.Augmentation(mt.Discrete((0.5,), (1.0,)), CutMix((2, 2), sampler="inside"))
    draws = leading_draws(augmentation, 20, np.random.default_rng(0))
    assert (draws.share.sum(1) == 1).all() and (draws.omega == 0.5).all()
    for ratio in (0.25, 0.75):
        drawn = leading_draws(mt.Augmentation(mt.Discrete((ratio,), (1.0,)), BOX), 5, np.random.default_rng(0))
        assert (drawn.omega == 0.25).all(), "the partner has the smaller share of the label"
    for moments in (leading_means(augmentation), leading_moments(augmentation)):
        assert_close(moments.first, torch.full((4,), 0.25), rounding(torch.float64, 1.0, 8))
        assert moments.label == 0.5


def test_float32_and_arguments_stay_as_they_are() -> None:
    loss, model, augmentation = mt.losses.Logistic(), TanhNetwork((2, 3)), mt.Augmentation(RATIO, BOX)
    x, y = inputs(4, 2, 3), labels(loss, 4, 1)
    before = [t.clone() for t in (x, y)]
    double = mt.mean_point_loss(model, loss, x, y, augmentation)
    assert all(torch.equal(t, kept) for t, kept in zip((x, y), before, strict=True))
    single = mt.mean_point_loss(model.float(), loss, x.float(), y.float(), augmentation)
    assert_close(single.total, double.total, rounding(torch.float32, 30.0, 40))


BAD: list[tuple[dict[str, object], type[Exception], str]] = [
    ({"loss": mt.losses.Logistic}, TypeError, "loss is the class Logistic: needed is a Loss"),
    ({"augmentation": BOX}, TypeError, "augmentation is a CutMix: needed is an Augmentation"),
    ({"x": inputs(4, 3, 2)}, ValueError, r"x has shape \(4, 3, 2\), the mask mixes arrays of shape \(2, 3\)"),
    ({"x": inputs(4, 2, 3) * float("nan")}, ValueError, "x has 24 entries that are NaN"),
    ({"y": torch.full((4, 1), 2.0)}, ValueError, r"y lies in \[2, 2\]"),
    ({"model": nn.Sequential(nn.Flatten(), nn.BatchNorm1d(6))}, ValueError, "BatchNorm1d '1' is in train mode"),
    (
        {"augmentation": mt.Augmentation(RATIO, Mixup((65, 64))), "x": inputs(2, 65, 64), "y": torch.zeros(2)},
        ValueError,
        "d = 4160 pixels",
    ),
]


@pytest.mark.parametrize(("changed", "error", "message"), BAD, ids=[m[:30] for _, _, m in BAD])
def test_bad_input_is_named(changed: dict[str, object], error: type[Exception], message: str) -> None:
    good: dict[str, object] = {
        "model": TanhNetwork((2, 3)),
        "loss": mt.losses.Logistic(),
        "x": inputs(4, 2, 3),
        "y": torch.tensor([0.0, 1.0, 1.0, 0.0]),
        "augmentation": mt.Augmentation(RATIO, BOX),
    }
    with pytest.raises(error, match=message):
        mt.mean_point_loss(**{**good, **changed})  # type: ignore[arg-type]


def test_str_gives_the_total_and_the_terms() -> None:
    terms = "standard 1, label 0.25, r2 -0.5, r3 0.125; about the mean mixed points"
    assert str(mt.MeanPointLoss(1.0, 0.25, -0.5, 0.125)) == f"0.875 ({terms})"
    assert str(mt.MeanPointLoss(1.0, 0.25, -0.5, 0.125, 0.01)) == f"0.875 +- 0.01 ({terms})"


def test_drawn_terms_are_those_of_their_seed() -> None:
    loss, augmentation = mt.losses.Logistic(), mt.Augmentation(RATIO, BOX)
    x, y, model = inputs(4, 2, 3), labels(loss, 4, 1), TanhNetwork((2, 3))
    first, again, other = (
        mt.mean_point_loss(model, loss, x, y, augmentation, directions=32, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again and first.total != other.total
    assert first.error > 0
