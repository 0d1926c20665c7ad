"""R2 by the distance of pixels: against loops over pairs of pixels, and against the laws' own coefficients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.derivatives import jacobian
from msda_theory.expansions import DistanceProfile, r2_by_distance
from msda_theory.expansions.distances import MIDDLE, NEAR
from msda_theory.masks.displacement import mean_by_displacement
from tests.helpers import TanhNetwork, assert_close, inputs, labels
from verify.tolerances import monte_carlo, rounding

SHAPE = (4, 6)
LOSS = mt.losses.SoftmaxCrossEntropy()
LAWS = {
    "CutMix, clip": mt.masks.CutMix(SHAPE, sampler="clip"),
    "HMix": mt.masks.HMix(SHAPE, r=0.5, sampler="inside"),
    "Mixup": mt.masks.Mixup(SHAPE),
}


def distances() -> Tensor:
    """Of all pairs of pixels, (d, d)."""
    pixels = [(i, j) for i in range(SHAPE[0]) for j in range(SHAPE[1])]
    return torch.tensor([[math.dist(p, q) for q in pixels] for p in pixels], dtype=torch.float64)


def members() -> list[Tensor]:
    near, middle = max(1.0, NEAR * min(SHAPE)), MIDDLE * min(SHAPE)
    apart = distances()
    return [apart == 0, (apart > 0) & (apart <= near), (apart > near) & (apart <= middle), apart > middle]


def by_loops(model: nn.Module, x: Tensor, augmentation: mt.Augmentation) -> list[float]:
    """1/2m sum_i sum_jk A_jk C_i,jk G_i,jk in each band, from dense matrices; channels share the mask."""
    flat = x.flatten(1)
    copies = flat.shape[1] // math.prod(SHAPE)
    second = augmentation.seen().second.repeat(copies, copies)
    slopes, curvature = jacobian(model, x), LOSS.h2(model(x))
    gradients = torch.einsum("mkd,mkl,mle->mde", slopes, curvature, slopes).detach()
    away = flat.unsqueeze(0) - flat.unsqueeze(1)
    spread = torch.einsum("ird,ire->ide", away, away) / len(x)
    pairs = (second * spread * gradients).sum(0) / (2 * len(x))
    return [float(pairs[member.repeat(copies, copies)].sum()) for member in members()]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("channels", [(), (2,)], ids=["grey", "two channels"])
def test_bands_against_loops(law: str, channels: tuple[int, ...]) -> None:
    """24 comparisons share the false-alarm rate."""
    x, model = inputs(5, *channels, *SHAPE), TanhNetwork((*channels, *SHAPE), 3)
    augmentation = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS[law])
    found = r2_by_distance(model, LOSS, x, labels(LOSS, 5, 3), augmentation, directions=2048, seed=2)
    for band, expected in zip(found.bands, by_loops(model, x, augmentation), strict=True):
        assert_close(band.r2, expected, monte_carlo(band.error, comparisons=24), band.name)
        assert 0 < band.error < abs(found.total)


@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_the_bands_sum_to_r2_of_the_same_draws(label: str) -> None:
    x, y, model = inputs(5, 2, *SHAPE), labels(LOSS, 5, 3), TanhNetwork((2, *SHAPE), 3)
    augmentation = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS["CutMix, clip"], label)
    found = r2_by_distance(model, LOSS, x, y, augmentation, directions=32, seed=3)
    expected = mt.taylor_loss(model, LOSS, x, y, augmentation, directions=32, seed=3)
    assert_close(found.total, expected.r2, rounding(torch.float64, 1.0, 1000))
    assert_close(sum(band.share for band in found.bands), 1.0, rounding(torch.float64, 10.0, 100))
    assert_close(sum(band.pairs for band in found.bands), 1.0, rounding(torch.float64, 1.0, 100))


@pytest.mark.parametrize("law", LAWS)
def test_coefficients_are_those_of_the_law(law: str) -> None:
    augmentation = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS[law])
    x, y = inputs(3, *SHAPE), labels(LOSS, 3, 3)
    draws = 4000
    found = r2_by_distance(TanhNetwork(SHAPE, 3), LOSS, x, y, augmentation, directions=draws, seed=4)
    second = augmentation.seen().second
    assert mean_by_displacement(second, SHAPE).shape == (7, 11)
    for band, member in zip(found.bands, members(), strict=True):
        # a coefficient of shares in [0, 1] has a variance of at most 1/4
        assert_close(band.coefficient, second[member].mean(), monte_carlo(0.5 / draws**0.5, comparisons=12))
        assert band.pairs == pytest.approx(float(member.double().mean()))


def test_the_standard_error_is_that_of_many_repetitions() -> None:
    """As for drawn moves: chi-squared, within 5 standard deviations (the draws' own kurtosis allowed for)."""
    x, y, model = inputs(4, *SHAPE), labels(LOSS, 4, 3), TanhNetwork(SHAPE, 3)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["CutMix, clip"])
    expected = by_loops(model, x, augmentation)
    runs = [r2_by_distance(model, LOSS, x, y, augmentation, directions=64, seed=seed) for seed in range(60)]
    for k in range(4):
        squares = sum((run.bands[k].r2 - expected[k]) ** 2 for run in runs)
        assert abs(squares / sum(run.bands[k].error ** 2 for run in runs) - 1) < 5 * (2 / 60) ** 0.5


def test_float32_and_images_of_any_size() -> None:
    x = torch.randn(2, 224, 224, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(16, 3)).eval()
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((224, 224), sampler="inside"))
    found = r2_by_distance(model, LOSS, x, torch.tensor([0, 1]), augmentation, directions=16, seed=0)
    assert [band.up_to for band in found.bands][:3] == [0.0, 28.0, 112.0]


def test_it_is_shown_and_a_dictionary() -> None:
    x, y, model = inputs(4, *SHAPE), labels(LOSS, 4, 3), TanhNetwork(SHAPE, 3)
    found = r2_by_distance(model, LOSS, x, y, mt.Augmentation(mt.Beta(1.0, 1.0), LAWS["HMix"]), seed=0)
    assert found.to_dict()["total"] == found.total and len(found.to_dict()["bands"]) == 4
    for word in ("64 moves", "the same pixel", "near", "middle", "far", "> 2", "<= 1"):
        assert word in str(found)
    nothing = DistanceProfile(tuple(replace(band, r2=0.0) for band in found.bands), 64)
    assert nothing.total == 0 and str(nothing)


def test_bad_input_is_named() -> None:
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    x = inputs(4, 2)
    with pytest.raises(ValueError, match=r"x has shape \(4, 2\): needed are images"):
        r2_by_distance(TanhNetwork((2,), 3), LOSS, x, labels(LOSS, 4, 3), augmentation)
    with pytest.raises(ValueError, match=r"directions=1: needed is an integer >= 2"):
        r2_by_distance(TanhNetwork((2,), 3), LOSS, x, labels(LOSS, 4, 3), augmentation, directions=1)
