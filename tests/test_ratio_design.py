"""The W-shaped law against scipy and mpmath; the strongest laws, and their strengths on data against Lemma 2."""

from __future__ import annotations

import json
import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msda_theory import Augmentation, Beta, Discrete, exact_loss
from msda_theory.expansions.perturbed_erm import perturbed_data, perturbed_loss
from msda_theory.folded_ratios import Folded, UpperHalf, half_moment
from msda_theory.losses import Squared
from msda_theory.masks import Mixup
from msda_theory.ratio_design import RatioComparison, compare_ratio_laws, strongest_ratio_laws
from msda_theory.w_ratios import WShaped
from tests.helpers import TanhNetwork, assert_close
from verify.tolerances import FALSE_ALARM, rounding

LAWS = [WShaped(0.5, 0.5), WShaped(0.2, 0.9), WShaped(3.0, 2.0)]
BREAKS: list[tuple[float, ...]] = [(), (0.5,), (0.1, 0.6, 0.9)]
UNIT = rounding(torch.float64, 1.0, 400)


def cdf(law: WShaped, ratio: np.ndarray) -> np.ndarray:
    doubled = stats.beta(law.a, law.b).cdf
    return np.where(ratio <= 0.5, doubled(2 * ratio) / 2, 1 - doubled(2 * (1 - ratio)) / 2)


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (3, 2), (0.5, 0), (0, 1.7), (-0.1, 0)])
def test_moments_against_mpmath(law: WShaped, p: float, q: float) -> None:
    """With X = s^10 next to 0 and 1 - X = s^10 next to 1, which leave no singularity."""

    def integrand(t: mpmath.mpf, rest: mpmath.mpf) -> mpmath.mpf:
        small, large = t / 2, 1 - t / 2
        density = t ** (law.a - 1) * rest ** (law.b - 1) / mpmath.beta(law.a, law.b)
        return density * (small**p * large**q + large**p * small**q) / 2

    with mpmath.workdps(30):
        ends = [0, mpmath.mpf(0.5) ** 0.1]
        low = mpmath.quad(lambda s: 10 * s**9 * integrand(s**10, 1 - s**10), ends)
        high = mpmath.quad(lambda s: 10 * s**9 * integrand(1 - s**10, s**10), ends)
    assert_close(law.moment(p, q), float(low + high), UNIT * float(low + high))


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 2), (3, 2)])
def test_rules_reproduce_moments(law: WShaped, breaks: tuple[float, ...], p: int, q: int) -> None:
    rule = law.rule(60, breaks)
    values = rule.ratio**p * (1 - rule.ratio) ** q
    assert_close(rule.first @ values, law.moment(p + 1, q), UNIT, "first")
    assert_close(rule.second @ values, law.moment(p, q + 1), UNIT, "second")


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("breaks", BREAKS)
def test_cells_against_the_distribution_function_and_a_rule(law: WShaped, breaks: tuple[float, ...]) -> None:
    cells, fine, edges = law.cells(breaks), law.rule(60, breaks), np.array([0.0, *breaks, 1.0])
    assert (edges[:-1] < cells.ratio).all() and (cells.ratio < edges[1:]).all()
    assert_close(cells.mass, np.diff(cdf(law, edges)), UNIT, "mass")
    index = np.searchsorted(np.array(breaks), fine.ratio)
    assert_close(cells.first, np.bincount(index, fine.first, len(breaks) + 1), UNIT, "first")


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_samples_by_kolmogorov_smirnov(law: WShaped) -> None:
    draws = law.sample(4000, seed=1)
    assert stats.kstest(draws, lambda ratio: cdf(law, ratio)).pvalue > FALSE_ALARM
    assert np.array_equal(law.sample(4000, seed=1), draws)
    generator = np.random.default_rng(1)
    assert np.array_equal(law.sample(4000, generator), draws) and not np.array_equal(law.sample(4000, generator), draws)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_halves_in_closed_form_and_by_quadrature(law: WShaped) -> None:
    """The folded law is 1 - X/2, and the upper half of a symmetric law is the folded law."""
    for p, q in ((1, 0), (0, 1), (0, 2), (2, 1)):
        by_quadrature = half_moment.dispatch(object)(law, p, q)[0]
        assert_close(half_moment(law, p, q)[0], by_quadrature, UNIT)
        assert_close(UpperHalf(law).moment(p, q), Folded(law).moment(p, q), UNIT)
    assert_close(Folded(law).mean, 1 - law.a / (law.a + law.b) / 2, UNIT)


def test_a_w_is_symmetric_tilts_and_diverges() -> None:
    law = WShaped(0.5, 0.5)
    assert law.moment(1) == pytest.approx(0.5)
    assert law.moment(-0.5) == law.moment(0, -0.5) == math.inf
    assert law.moment(2) == law.moment(2, 0) == law.moment(0, 2)
    assert law.tilted().moment(1) == pytest.approx(law.moment(2) + law.moment(0, 2))
    with pytest.raises(ValueError, match="b=0"):
        WShaped(1.0, 0)


def test_the_mixup_loss_under_a_w_depends_on_the_larger_share_alone() -> None:
    """The loss over lambda, and over theta and the perturbations: Theorem 1 of Carratino et al."""
    x, y = data(6, 2)
    model, law = TanhNetwork((2,), 3), WShaped(0.5, 0.5)
    exact = exact_loss(model, Squared(), x, y, Augmentation(law, Mixup((2,))), rtol=1e-10)
    perturbed = perturbed_loss(model, Squared(), x, y, law, rtol=1e-10)
    assert_close(perturbed.value, exact.value, perturbed.error + exact.error)


# -- the strongest laws


def strength(law: object) -> float:
    theta = Folded(law)  # type: ignore[arg-type]
    return theta.var + theta.moment(0, 2)


@pytest.mark.parametrize("kept", [0.501, 0.55, 0.75, 0.9, 0.999])
def test_each_family_keeps_what_is_asked(kept: float) -> None:
    """Beta(a, a) to the 1e-12 of the root and of its moments at a = 8e4; the two-point law has kept (1 - kept)."""
    laws = strongest_ratio_laws(kept)
    assert list(laws) == ["two-point", "W", "beta"]
    for law in laws.values():
        assert Folded(law).mean == pytest.approx(kept, abs=1e-10)
    assert_close(strength(laws["two-point"]), kept * (1 - kept), UNIT)
    variance = (1 - kept) * (kept - 0.5)
    assert_close(Folded(laws["W"]).var, variance / 2, UNIT)
    assert strength(laws["beta"]) < strength(laws["two-point"])


def test_the_uniform_law_and_the_slides_keep_three_quarters() -> None:
    laws = strongest_ratio_laws(0.75)
    assert laws["beta"].a == pytest.approx(1.0, abs=1e-11)  # type: ignore[attr-defined]
    assert laws["W"] == WShaped(0.5, 0.5)
    assert laws["two-point"] == Discrete((0.0, 0.5, 1.0), (0.25, 0.5, 0.25))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=5))
def test_no_law_is_stronger_than_the_two_point_law(atoms: list[tuple[float, float]]) -> None:
    total = math.fsum(w for _, w in atoms)
    law = Discrete(tuple(v for v, _ in atoms), tuple(w / total for _, w in atoms))
    kept = Folded(law).mean
    assert strength(law) <= kept * (1 - kept) + UNIT


@pytest.mark.parametrize("kept", [0.5, 1.0, 0.2, math.nan])
def test_what_cannot_be_kept(kept: float) -> None:
    with pytest.raises(ValueError, match="kept="):
        strongest_ratio_laws(kept)


# -- the comparison


def data(samples: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(samples)
    x = torch.randn(samples, size, generator=draw, dtype=torch.float64) + 0.7
    return x, torch.randn(samples, 3, generator=draw, dtype=torch.float64)


@pytest.mark.parametrize(("samples", "size"), [(12, 4), (5, 9)])
def test_strengths_against_the_covariances_of_lemma_2(samples: int, size: int) -> None:
    """Sigma_xx^(i) has an inverse in the first case, and none in the second."""
    x, y = data(samples, size)
    laws = {**strongest_ratio_laws(0.8), "one-sided": Beta(0.3, 2.0), "always 1/2": Discrete((0.5,), (1.0,))}
    found = compare_ratio_laws(laws, x, y)
    for name, law in laws.items():
        c = perturbed_data(x, y, law).covariances()
        explained = c.xy.mT @ torch.linalg.pinv(c.xx, hermitian=True, rtol=1e-10) @ c.xy
        assert_close(found[name].inputs, float(torch.einsum("mdd->m", c.xx).mean()), 1e-13)
        assert found[name].explained == pytest.approx(float(torch.einsum("mkk->m", explained).mean()), rel=1e-9)
        assert found[name].strength == pytest.approx(strength(law), rel=1e-12)


def test_at_a_given_share_the_strongest_law_is_strongest_on_data() -> None:
    x, y = data(20, 6)
    rows = compare_ratio_laws(strongest_ratio_laws(0.8), x, y).rows
    for name in ("strength", "inputs", "explained"):
        values = [getattr(row, name) for row in rows]
        assert values == sorted(values, reverse=True)


def test_no_mixing_has_no_strength() -> None:
    row = compare_ratio_laws({"none": Discrete((1.0,), (1.0,))}, *data(5, 2))["none"]
    assert (row.strength, row.inputs, row.explained) == (0.0, 0.0, 0.0)


def test_a_comparison_prints_and_is_json() -> None:
    found = compare_ratio_laws({"uniform": Beta(1.0, 1.0)}, *data(5, 2))
    assert isinstance(found, RatioComparison)
    assert "uniform" in str(found)
    assert "0.10417" in str(found)
    assert "<pre>" in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["laws"][0]["strength"] == pytest.approx(5 / 48)


def test_bad_input_of_the_comparison() -> None:
    x, y = data(5, 2)
    with pytest.raises(ValueError, match="laws is empty"):
        compare_ratio_laws({}, x, y)
    with pytest.raises(TypeError, match="laws"):
        compare_ratio_laws({"beta": 1.0}, x, y)  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="one label a sample"):
        compare_ratio_laws({"uniform": Beta(1.0, 1.0)}, x, y[:3])
