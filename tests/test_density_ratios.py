"""A law given by its density, against Beta laws and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from msda_theory import Augmentation, Beta, Density
from msda_theory.masks import CutMix, Mixup
from tests.helpers import assert_close
from verify.tolerances import FALSE_ALARM

PARABOLA = Density(lambda t: 5 * t * (1 - t))
BETA = Beta(2.0, 2.0)
WEDGE = Density(lambda t: np.where(t < 0.3, t / 0.3, (1 - t) / 0.7), breaks=(0.3,))


@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (2, 3), (0.5, -0.5), (-0.9, 0), (-1.5, 0), (0, -1.5), (1, -1)])
def test_moments_are_those_of_the_beta_law(p: float, q: float) -> None:
    assert_close(PARABOLA.moment(p, q), BETA.moment(p, q), 1e-10 * BETA.moment(p, q), f"moment {p}, {q}")


@pytest.mark.parametrize(("p", "q"), [(-2, 0), (0, -2), (1, -2.5)])
def test_a_moment_diverges_where_that_of_the_beta_law_does(p: float, q: float) -> None:
    assert PARABOLA.moment(p, q) == BETA.moment(p, q) == np.inf


def test_a_kink_at_a_break_costs_nothing() -> None:
    """The triangular law with mode 0.3: E = (0 + 1 + 0.3)/3, E[lambda^2] = Var + E^2 by its closed form."""
    mean, variance = 1.3 / 3, (1 + 0.09 - 0.3) / 18
    assert_close([WEDGE.mean, WEDGE.moment(2)], [mean, variance + mean**2], 1e-12, "moments")


def test_an_end_without_mass_is_told_from_one_with_some() -> None:
    """Nothing within 1/8 of one end, and as much as elsewhere at the other."""
    low = Density(lambda t: np.where(t > 0.125, 1.0, 0.0), breaks=(0.125,))
    high = Density(lambda t: np.where(t < 0.875, 1.0, 0.0), breaks=(0.875,))
    assert low.vanishing_order(0) == high.vanishing_order(1) == np.inf
    assert low.vanishing_order(1) == high.vanishing_order(0) == 0


def test_tilted_laws_agree() -> None:
    tilted, expected = PARABOLA.tilted(), BETA.tilted()
    assert_close([tilted.moment(k) for k in range(5)], [expected.moment(k) for k in range(5)], 1e-11, "tilted moments")
    assert tilted.moment(0) == pytest.approx(1.0)
    assert WEDGE.tilted().breaks == (0.3, 0.7)


@pytest.mark.parametrize("mask", [Mixup((3, 4)), CutMix((3, 4), sampler="inside")], ids=str)
def test_what_a_sample_sees_is_what_it_sees_under_the_beta_law(mask: Mixup | CutMix) -> None:
    found, expected = (Augmentation(ratio, mask).seen() for ratio in (PARABOLA, BETA))
    assert_close(found.second, expected.second, 1e-11, "seen")


def test_samples_have_the_law() -> None:
    """Kolmogorov-Smirnov; one seed in a million would fail a correct sampler."""
    for law, cdf in ((PARABOLA, lambda t: 3 * t**2 - 2 * t**3), (WEDGE, _wedge_cdf)):
        assert kstest(law.sample(4000, seed=2), cdf).pvalue > FALSE_ALARM
    assert np.array_equal(PARABOLA.sample(5, seed=1), PARABOLA.sample(5, seed=1))


def _wedge_cdf(t: np.ndarray) -> np.ndarray:
    return np.where(t < 0.3, t**2 / 0.3, 1 - (1 - t) ** 2 / 0.7)


@pytest.mark.parametrize(
    ("weight", "breaks", "message"),
    [
        (lambda t: t - 0.5, (), r"weight.*smallest value -0.*finite number >= 0"),
        (lambda t: 0 * t, (), r"weight.*integrates to 0"),
        (lambda t: 1 / (t - t), (), r"weight.*finite number"),
        (lambda t: 1.0, (), r"weight.*shape \(\)"),
        (lambda t: 1 + t, (0.5, 0.2), r"breaks=\(0.5, 0.2\).*increasing"),
        (lambda t: 1 + t, (1.5,), r"breaks=1.5"),
        (lambda t: 1 + t, (0.0, 0.5), r"breaks=\(0.0, 0.5\).*increasing numbers inside"),
        (lambda t: 1 + t, (0.5, 1.0), r"breaks=\(0.5, 1.0\).*increasing numbers inside"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_density_is_refused(weight: object, breaks: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Density(weight, breaks)  # type: ignore[arg-type]
