"""FMix: its field, its symmetries, the rounding of lambda d, and the error of its estimated second moment."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from msda_theory import Augmentation, Beta, Discrete
from msda_theory.masks import FMix
from msda_theory.masks._fourier import FIELDS
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import FALSE_ALARM, bounded_mean, monte_carlo, rounding

DRAWS = 20_000
EXACT = [((1, 4), 3.0), ((4, 1), 1.0), ((2, 2), 3.0), ((2, 2), 0.5)]
SHAPES = [(4, 5), (7, 3), (6, 6)]


def autocorrelation(images: Tensor) -> Tensor:
    """1/d sum_i v_i v_{i+s} of each image, by sums."""
    shape = images.shape[1:]
    shifts = [torch.roll(images, (-s, -t), (1, 2)) for s in range(shape[0]) for t in range(shape[1])]
    return torch.stack([(images * other).mean((1, 2)) for other in shifts], -1).reshape(len(images), *shape)


def draws(law: FMix, ratio: float, seed: int) -> Tensor:
    return law.sample(torch.full((DRAWS,), ratio, dtype=torch.float64), seed)


@pytest.mark.parametrize(("shape", "decay"), EXACT)
def test_pairs_of_four_pixels_are_as_likely_as_the_cone_says(shape: tuple[int, int], decay: float) -> None:
    """Each of the six masks with two ones, against the closed form of tests/oracles.py."""
    found = torch.unique(draws(FMix(shape, decay=decay), 0.5, 3).flatten(1), dim=0, return_counts=True)
    share = {tuple(mask): n / DRAWS for mask, n in zip(found[0].tolist(), found[1].tolist(), strict=True)}
    exact = oracles.distribution(oracles.fmix(shape, decay)(Fraction(1, 2)))
    assert set(share) <= set(exact)
    assert math.fsum(exact.values()) == pytest.approx(1.0)
    for mask, probability in exact.items():
        allowed = bounded_mean(probability * (1 - probability), DRAWS, comparisons=6 * len(EXACT))
        assert abs(share.get(mask, 0.0) - probability) <= allowed, f"{mask}"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_field_has_the_power_of_its_definition(shape: tuple[int, int]) -> None:
    """Re F^-1(z / |f|^decay), z complex white noise on all frequencies: power |f|^(-2 decay) at every one but 0."""
    law, white = FMix(shape, decay=1.5), torch.eye(shape[0] * shape[1], dtype=torch.float64).reshape(-1, *shape)
    response = torch.fft.irfft2(torch.fft.rfft2(white) * law._scale, s=shape).flatten(1)
    covariance = (response.T @ response)[0].reshape(shape)
    found = torch.fft.fft2(covariance).real
    down, across = (np.fft.fftfreq(n) for n in shape)
    frequency = np.hypot(down[:, None], across)
    expected = np.divide(1.0, frequency**3.0, where=frequency > 0, out=np.zeros(shape)) / max(shape) ** 3.0
    assert_close(found, expected, rounding(torch.float64, float(expected.max()), 64), "power")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.5, 0.77, 1.0])
def test_the_number_of_ones_is_rounded_either_way(shape: tuple[int, int], ratio: float) -> None:
    size = shape[0] * shape[1]
    ones = draws(FMix(shape), ratio, 1).flatten(1).sum(1)
    down, up = math.floor(ratio * size), math.ceil(ratio * size)
    assert set(ones.tolist()) == {float(down), float(up)}
    if up > down:
        share = float((ones == up).double().mean())
        assert abs(share - 0.5) <= bounded_mean(0.25, DRAWS, comparisons=len(SHAPES) * 3)
    assert_close(
        FMix(shape).mean(ratio), torch.full(shape, (down + up) / (2 * size), dtype=torch.float64), 1e-15, "mean"
    )


def test_ratios_that_are_multiples_of_a_pixel_are_not_rounded() -> None:
    """k/d is not a float, nor is k/d d = k in floats, for most k and d."""
    for size in (3, 7, 10, 49, 100, 1023):
        law = FMix((1, size))
        for k in range(size + 1):
            assert law._counts(k / size) == (k, k), f"{k}/{size}"
        assert law._counts(0.5 / size) == (0, 1)
    assert any(k / 49 * 49 != k for k in range(50)), "no longer a trap"


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_is_equally_often_a_one(shape: tuple[int, int]) -> None:
    law, size = FMix(shape), shape[0] * shape[1]
    mean = float(law.mean(0.3).flatten()[0])
    allowed = bounded_mean(mean * (1 - mean), DRAWS, comparisons=size * len(SHAPES))
    assert_close(draws(law, 0.3, 2).mean(0), law.mean(0.3), allowed, "mean")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ratio", [0.3, 0.5])
def test_fresh_draws_agree_with_the_estimate_within_both_errors(shape: tuple[int, int], ratio: float) -> None:
    law = FMix(shape)
    found = autocorrelation(1 - draws(law, ratio, 4))
    errors = (found.var(0) / DRAWS + law.second_moment_error(ratio) ** 2).sqrt()
    kernel = law.second_moment(ratio).to_dense()[0].reshape(shape)
    allowed = torch.tensor([monte_carlo(float(e), comparisons=6 * law.size) for e in errors.flatten()])
    assert_close(found.mean(0), kernel, allowed.reshape(shape) + 1e-15, "a_jk by displacement")


def test_the_stated_error_is_the_spread_of_such_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 estimates from other seeds: their variance over the stated one is a chi-square of 39 degrees over 39.

    16 pixels, n = 8: an integer, at which the stated error is no bound but the standard error itself.
    """
    estimates, stated = [], FMix((4, 4)).second_moment_error(0.5)
    for seed in range(1, 41):
        monkeypatch.setattr("msda_theory.masks._fourier.SEED", seed)
        estimates.append(FMix((4, 4)).second_moment(0.5).to_dense()[0].reshape(4, 4))
    spread = torch.stack(estimates).var(0)
    moved = stated > 0
    assert int(moved.sum()) == 15, "all displacements but 0"
    squares = 39 * spread[moved] / stated[moved] ** 2
    assert chi2.isf(1 - FALSE_ALARM / 30, 39) <= squares.min()
    assert squares.max() <= chi2.isf(FALSE_ALARM / 30, 39)


def test_the_estimate_is_the_same_at_every_call_and_keeps_what_is_exact() -> None:
    first, again = FMix((5, 4)), FMix((5, 4))
    for ratio in (0.1, 0.33, 0.5, 0.9):
        dense = first.second_moment(ratio).to_dense()
        assert torch.equal(dense, again.second_moment(ratio).to_dense())
        gone = 1 - first.mean(ratio).flatten()
        assert_close(dense.diagonal(), gone, rounding(torch.float64, 1.0, 16), "diagonal")
        down, up = first._counts(ratio)
        row = ((20 - down) ** 2 + (20 - up) ** 2) / (2 * 20)
        assert_close(
            dense.sum(1), torch.full((20,), row, dtype=torch.float64), rounding(torch.float64, 20.0, 20), "row sums"
        )
    assert 0 < float(first.second_moment_error(0.33).max()) < 0.5 / FIELDS**0.5


def test_the_complement_is_the_law_at_the_other_ratio() -> None:
    """a_jk(1-lambda) = E[M_j M_k | lambda]: the estimate has it too, by the negatives of its fields."""
    law = FMix((4, 6))
    for ratio in (0.125, 0.3, 0.5):
        kept = law.second_moment(ratio).to_dense() + 2 * law.mean(ratio)[0, 0] - 1
        assert_close(law.second_moment(1 - ratio).to_dense(), kept, rounding(torch.float64, 1.0, 64), f"{ratio}")
        assert_close(law.mean(1 - ratio), 1 - law.mean(ratio), 1e-15, f"{ratio}")


def test_so_the_tilted_law_gives_the_moments_over_both_roles() -> None:
    """A_jk = E_D~[a_jk], which is what Theorem 1 prints, and fails for boxes."""
    law, ratio = FMix((3, 4)), Beta(2.0, 0.7)
    seen = Augmentation(ratio, law).seen()
    rule = ratio.tilted().cells(law.breaks)
    nodes = list(zip(rule.ratio.tolist(), rule.mass.tolist(), strict=True))
    printed = sum(weight * law.second_moment(node).to_dense() for node, weight in nodes)
    assert_close(seen.second, printed, rounding(torch.float64, 1.0, 64), "A_jk")
    at_break = Augmentation(Discrete((0.25,), (1.0,)), law).seen()
    assert_close(
        at_break.first,
        torch.full((12,), 0.25 * 0.75 * 2, dtype=torch.float64),
        rounding(torch.float64, 1.0, 16),
        "n_j, 3 of 12",
    )


@pytest.mark.parametrize("decay", [0.0, -1.0, float("inf"), float("nan")])
def test_a_decay_that_is_not_positive_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"decay=.*needed is a finite number > 0"):
        FMix((3, 3), decay=decay)


def test_shapes_and_ratios_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape=\(4,\): needed are 2 positive integers"):
        FMix((4,))
    with pytest.raises(ValueError, match=r"ratio=1.5: needed is a number in \[0, 1\]"):
        FMix((3, 3)).second_moment_error(1.5)


def test_one_pixel_and_no_draw() -> None:
    law = FMix((1, 1))
    assert_close(law.second_moment(0.3).to_dense(), [[0.5]], 1e-15)
    assert law.sample(torch.zeros(0)).shape == (0, 1, 1)
    assert set(law.sample(torch.full((50,), 0.3), seed=0).flatten().tolist()) == {0.0, 1.0}
