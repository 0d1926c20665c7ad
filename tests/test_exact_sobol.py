"""The estimate from Sobol points: unbiased, its standard error one, its controls of mean zero, off unless they pay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binom, t

import msda_theory as mt
from msda_theory.exact import enumeration_cost
from msda_theory.exact_sobol import _controls, controlled, paying_slopes, sobol_loss
from msda_theory.exact_sobol._controls import Controls, input_gradients
from tests.helpers import LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels
from verify.tolerances import FALSE_ALARM, rounding

LOSS = mt.losses.Logistic()
LAWS = [
    mt.masks.Mixup((2, 2)),
    mt.masks.Bernoulli((4,)),
    mt.masks.CutMix((2, 3), sampler="clip"),
    mt.masks.HMix((2, 3), r=0.5, sampler="inside"),
    mt.masks.GMix((2, 2), kernel="released"),
    mt.masks.Stochastic((2, 2), sampler="inside"),
]
RATIOS = [
    mt.Beta(0.3, 2.0),
    mt.Discrete((0.2, 0.9), (0.7, 0.3)),
    mt.Mixture((0.4, 0.6), (mt.Beta(1, 2), mt.Beta(2, 1))),
]


def student(standard_error: float, replicates: int = 32) -> float:
    """As `tolerances.monte_carlo`, for a standard error that is itself estimated from so many replicates."""
    return float(t.isf(FALSE_ALARM / 2, replicates - 2)) * standard_error


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_it_agrees_with_the_enumeration(law: mt.masks.MaskLaw, label: str) -> None:
    x, model = inputs(5, *law.shape), TanhNetwork(law.shape)
    y, augmentation = labels(LOSS, 5, 1), mt.Augmentation(mt.Beta(0.3, 2.0), law, label)
    found = mt.exact_loss(model, LOSS, x, y, augmentation, method="sobol", samples=4096, seed=1)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert found.evaluations == 4096 + 5 + 2 * 5, "points, samples, and gradients of one output at the samples"
    assert_close(found.value, slow.value, student(found.error) + slow.error)


@pytest.mark.parametrize("ratio", RATIOS, ids=repr)
def test_any_ratio_law(ratio: mt.RatioLaw) -> None:
    """Also one without an inverse, which draws its ratios."""
    x, model = inputs(5, 2, 2), TanhNetwork((2, 2))
    y, augmentation = labels(LOSS, 5, 1), mt.Augmentation(ratio, mt.masks.Mixup((2, 2)))
    found = mt.exact_loss(model, LOSS, x, y, augmentation, method="sobol", samples=4096, seed=1)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert_close(found.value, slow.value, student(found.error) + slow.error)


@pytest.mark.parametrize("law", [mt.masks.Mixup((2,)), mt.masks.CutMix((2, 2), sampler="clip")], ids=repr)
def test_the_standard_error_is_one(law: mt.masks.MaskLaw) -> None:
    """Over 60 seeds: the mean of (error / standard error)^2 is (R-1)/(R-3) = 1.07, give or take 4 sqrt(2.3/60), and no
    more than 9 lie outside Student's interval of 95%, which more do once in a thousand times.
    """
    x, model = inputs(4, *law.shape), TanhNetwork(law.shape)
    y, augmentation = labels(LOSS, 4, 1), mt.Augmentation(mt.Beta(0.3, 2.0), law)
    truth = mt.exact_loss(model, LOSS, x, y, augmentation, rtol=1e-9).value
    options = {"method": "sobol", "samples": 128}
    runs = [mt.exact_loss(model, LOSS, x, y, augmentation, **options, seed=seed) for seed in range(60)]
    off = np.array([(run.value - truth) / run.error for run in runs])
    assert np.square(off).mean() == pytest.approx(1.07, abs=0.79)
    assert (np.abs(off) > t.isf(0.025, 30)).sum() <= binom.isf(1e-3, len(off), 0.05) == 9


def test_it_is_reproducible() -> None:
    x, model = inputs(4, 2), TanhNetwork((2,))
    problem = (model, LOSS, x, labels(LOSS, 4, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Bernoulli((2,))))
    first, again, other = (mt.exact_loss(*problem, method="sobol", samples=64, seed=seed).value for seed in (1, 1, 2))
    assert first == again != other


LOSSES = [(LOSS, 1), (mt.losses.Poisson(), 2), (mt.losses.SoftmaxCrossEntropy(), 3)]


@pytest.mark.parametrize(("loss", "outputs"), LOSSES, ids=str)
@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 3)], ids=str)
def test_the_controls_have_mean_zero_over_all_pairs(loss: mt.losses.Loss, outputs: int, shape: tuple[int, ...]) -> None:
    """At masks, also outside [0, 1], and label weights that have nothing to do with them; channels share a mask."""
    m, x, model = 5, inputs(5, *shape) / 4, TanhNetwork(shape, outputs)
    y = labels(loss, m, outputs)
    gradients = input_gradients(model, x, outputs, 10**6)
    with torch.no_grad():
        controls = Controls(loss, x, y, model(x), gradients, 6, 10**16)
    assert controls.count == 2 and float(controls.errors.max()) < 1e-9
    i, j = torch.cartesian_prod(torch.arange(m), torch.arange(m)).unbind(1)
    for mask, w in zip((1.5 * inputs(4, 2, 3, seed=1)).sin(), (0.0, 0.3, 0.8, 1.0), strict=True):
        found = controls(i, j, mask.expand(len(i), -1, -1), torch.full((len(i),), w, dtype=torch.float64))
        assert float(found.abs().max()) > 0.01
        assert_close(found.mean(0), torch.zeros(2), controls.errors + rounding(torch.float64, 20.0, 200), f"w = {w}")


def test_gradients_are_those_of_the_outputs() -> None:
    x, model = inputs(3, 2, 2), TanhNetwork((2, 2), 2)
    expected = torch.func.vmap(torch.func.jacrev(lambda row: model(row.unsqueeze(0))[0]))(x).flatten(2).detach()
    found = input_gradients(model, x, 2, 10**6)
    assert found is not None
    assert_close(found, expected, rounding(torch.float64, float(expected.abs().max()), 20))


def test_gradients_that_are_dear_or_missing_are_left_out() -> None:
    x, model = inputs(3, 2), TanhNetwork((2,), 2)
    assert input_gradients(model, x, 2, 3 * 3 * 8) is not None
    assert input_gradients(model, x, 2, 3 * 3 * 8 - 1) is None
    assert input_gradients(lambda v: model(v).detach(), x, 2, 10**6) is None
    assert input_gradients(lambda v: model(v.detach()), x, 2, 10**6) is None
    assert input_gradients(model, x.expand(3000, 3, 2)[:, 0], 2, 10**9) is None


def test_with_more_pairs_than_pay_there_is_no_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_controls, "LARGEST_PAIRS", 5**2 * 16 - 1)
    x, law = inputs(5, 4), mt.masks.Bernoulli((4,))
    problem = (TanhNetwork((4,)), LOSS, x, labels(LOSS, 5, 1), mt.Augmentation(mt.Beta(1.0, 1.0), law))
    found = mt.exact_loss(*problem, method="sobol", samples=1024, seed=0)
    assert found.evaluations == 1024 + 5
    assert_close(found.value, mt.exact_loss(*problem).value, student(found.error))


def test_the_controls_are_the_loss_of_what_is_linear() -> None:
    """For an affine f and a linear loss, but for what no pair changes; of any loss, if the mask is constant."""
    m, x, model = 5, inputs(5, 2, 3), Quadratic((2, 3), curved=False)
    i, j = torch.cartesian_prod(torch.arange(m), torch.arange(m)).unbind(1)
    for loss, mask, used in ((LinearLoss(), inputs(2, 3).sin(), 2), (LOSS, torch.full((2, 3), 0.3).double(), 1)):
        y, w = labels(loss, m, 1), torch.full((len(i), 1), 0.6, dtype=torch.float64)
        gradients = input_gradients(model, x, 1, 10**6)
        with torch.no_grad():
            controls = Controls(loss, x, y, model(x), gradients, 6, 10**16)
            values = loss(model(mask * x[i] + (1 - mask) * x[j]), w * y[i] + (1 - w) * y[j])
        left = values - controls(i, j, mask.expand(len(i), -1, -1), w[:, 0])[:, :used].sum(1)
        assert_close(left, left[:1].expand(len(i)), rounding(torch.float64, 20.0, 200))
        assert float(values.std()) > 0.1


def test_a_control_that_pays_is_used() -> None:
    x, model, law = inputs(6, 2, 3), Quadratic((2, 3), curved=False), mt.masks.Mixup((2, 3))
    y, augmentation = labels(LOSS, 6, 1), mt.Augmentation(mt.Beta(1.0, 1.0), law)
    with torch.no_grad():
        found = sobol_loss(model, LOSS, x, y, augmentation, 256, 0)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert_close(found.slopes[:, 0], [1.0, 1.0], 0.1)
    assert not found.slopes[:, 1].any(), "under Mixup the second is zero"
    assert_close(found.value, slow.value, student(found.error) + slow.error)


def test_controls_that_do_not_pay_are_off() -> None:
    means = np.random.default_rng(0).normal(size=(32, 8, 3))
    values, slopes = controlled(means)
    assert not slopes.any()
    assert_close(values, means[..., 0].mean(1), 1e-14)


def test_without_controls() -> None:
    means = np.random.default_rng(0).normal(size=(32, 8, 1))
    values, slopes = controlled(means)
    assert slopes.shape == (2, 0)
    assert_close(values, means[..., 0].mean(1), 1e-14)


def test_slopes() -> None:
    """The second control is noise beside the first, or the same again, or no number at all but zero."""
    rng = np.random.default_rng(1)
    control, noise = rng.normal(size=(2, 16, 8))
    value = 3 * control + 0.1 * rng.normal(size=(16, 8))
    for second in (noise, control, np.zeros((16, 8))):
        slopes = paying_slopes(np.stack([value, control, second], -1))
        assert slopes.sum() == pytest.approx(3, abs=0.1) and np.count_nonzero(slopes) == 1
    assert paying_slopes(np.stack([value + 2 * noise, control, noise], -1)) == pytest.approx([3, 2], abs=0.1)


def test_one_half_does_not_see_its_own_slope() -> None:
    """Cross-fitting: a change of the first half moves the slope of the second alone."""
    means = np.repeat(np.random.default_rng(2).normal(size=(32, 8, 1)), 2, axis=2)
    changed = means.copy()
    changed[:16, :, 0] *= 2
    assert_close(controlled(changed)[1], [[1.0], [2.0]], 1e-12)


def test_the_cost_is_said_beforehand() -> None:
    x, model = inputs(10, 4, 4), TanhNetwork((4, 4))
    for mask, count in ((mt.masks.Mixup((4, 4)), 4 + 8 + 16), (mt.masks.CutMix((4, 4), sampler="torus"), 4 * 16)):
        evaluations, seconds = enumeration_cost(model, x, mt.Augmentation(mt.Beta(1.0, 1.0), mask))
        assert evaluations == 100 * count
        assert 0 < seconds < 60


@pytest.mark.parametrize("mask", [mt.masks.FMix((4, 4)), mt.masks.Bernoulli((30,))], ids=repr)
def test_where_there_is_no_enumeration_the_draws_are_named(mask: mt.masks.MaskLaw) -> None:
    """A law without a list of masks, and one with 2^30 of them, whose cost can still be said."""
    x, augmentation = inputs(3, *mask.shape), mt.Augmentation(mt.Beta(1.0, 1.0), mask)
    model = TanhNetwork(mask.shape)
    with pytest.raises(mt.masks.NotEnumerableError, match=r"'monte-carlo', or method='sobol'"):
        mt.exact_loss(model, LOSS, x, labels(LOSS, 3, 1), augmentation)
    if isinstance(mask, mt.masks.Bernoulli):
        assert enumeration_cost(model, x, augmentation)[0] == 9 * 28 * 2**30
    else:
        with pytest.raises(mt.masks.NotEnumerableError, match=r"'monte-carlo', or method='sobol'"):
            enumeration_cost(model, x, augmentation)
