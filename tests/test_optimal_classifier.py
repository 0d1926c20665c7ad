"""The pointwise optimal classifier against plain Python loops and rationals, its limit, its regions, and digits."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

import msda_theory as mt
from msda_theory.augmentation import MixTable
from msda_theory.optimal_classifier import ClassMeasures, MixedPoints, distance_to_other_mixtures
from paper_checks.park2022.certain_class import class_of
from paper_checks.park2022.mixed_points import cases, groups, label_mass, theorem6
from tests.helpers import assert_close
from verify.tolerances import rounding

LAWS = [
    mt.masks.Mixup((2, 2)),
    mt.masks.Bernoulli((2, 2)),
    mt.masks.CutMix((2, 2), sampler="inside"),
    mt.masks.HMix((2, 2), r=0.5, sampler="torus"),
    mt.masks.GMix((2, 2), kernel="printed"),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)
RATIO = mt.Beta(0.7, 2.0)


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(0, 4, (6, 2, 2), generator=generator).to(dtype)
    x[:, 0, 0] = torch.arange(6)
    return x, torch.tensor([0, 1, 2, 0, 1, 2])


def table_of(law: mt.masks.MaskLaw) -> MixTable:
    return mt.Augmentation(RATIO, law).table(3)


def naive_distance(a: list[float], b: list[float]) -> float:
    return math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))


def naive_mixtures(x: Tensor, y: Tensor, table: MixTable) -> list[tuple[list[float], int, int, float, float]]:
    """(point, class of s, class of t, label mass of s, of t)."""
    rows, labels, masks = x.flatten(1).tolist(), y.tolist(), table.masks.flatten(1).tolist()
    weights = list(zip(masks, table.first.tolist(), table.second.tolist(), strict=True))
    return [
        ([m * a + (1 - m) * b for m, a, b in zip(mask, s, t, strict=True)], i, j, p / len(x) ** 2, q / len(x) ** 2)
        for s, i in zip(rows, labels, strict=True)
        for t, j in zip(rows, labels, strict=True)
        for mask, p, q in weights
    ]


@every_law
@pytest.mark.parametrize("eps", [0.9, 1.7])
def test_h_eps_is_the_mean_label_of_the_mixed_points_in_the_ball(law: mt.masks.MaskLaw, eps: float) -> None:
    x, y = data()
    table = table_of(law)
    at = x + 0.1234
    found = MixedPoints.of(x, y, table).measures(at, eps).classifier()
    for row, h in zip(at.flatten(1).tolist(), found, strict=True):
        labels = [0.0, 0.0, 0.0]
        for point, i, j, p, q in naive_mixtures(x, y, table):
            if naive_distance(point, row) < eps:
                labels[i] += p
                labels[j] += q
        expected = torch.tensor(labels, dtype=torch.float64) / sum(labels)
        assert_close(h, expected, rounding(torch.float64, 1.0, 36 * len(table)), repr(law))


def test_limit_and_certain_class_are_those_of_the_rationals() -> None:
    """Against the exact machinery of the paper's checks, at every point of X_MSDA."""
    for name, exact in cases().items():
        rows = list(groups(exact).items())
        points = torch.tensor([[float(v.p) / float(v.q) for v in z.x] for z in exact], dtype=torch.float64)
        first = torch.tensor([float(z.labelled.p) / float(z.labelled.q) for z in exact], dtype=torch.float64)
        mass = torch.tensor([float(z.xi.p) / float(z.xi.q) for z in exact], dtype=torch.float64)
        classes = torch.tensor([z.i for z in exact]), torch.tensor([z.j for z in exact])
        mixed = MixedPoints(points, classes, first, mass - first, k=3)
        at = torch.tensor([[float(v.p) / float(v.q) for v in z] for z, _ in rows], dtype=torch.float64)
        limit = mixed.limit(at)
        expected = [[float(v.p) / float(v.q) for v in theorem6(own, 3)] for _, own in rows]
        allowed = rounding(torch.float64, 1.0, len(exact))
        assert_close(limit.classifier(), torch.tensor(expected, dtype=torch.float64), allowed, name)
        for (_, own), h, certain in zip(rows, limit.classifier(), limit.certain_class().tolist(), strict=True):
            assert certain == -1 or h[certain] > 0.5
            if class_of(own) is not None:
                assert certain == class_of(own)
            assert sum(label_mass(own, 3)) == sum(z.xi for z in own)


@every_law
def test_h_eps_settles_on_the_limit(law: mt.masks.MaskLaw) -> None:
    x, y = data()
    mixed = MixedPoints.of(x, y, table_of(law))
    at = mixed.points[:: max(len(mixed.points) // 50, 1)]
    assert torch.equal(mixed.measures(at, 1e-9).classifier(), mixed.limit(at).classifier())


@every_law
def test_a_certain_class_has_more_than_half_of_the_label(law: mt.masks.MaskLaw) -> None:
    x, y = data()
    mixed = MixedPoints.of(x, y, table_of(law))
    limit = mixed.limit(mixed.points)
    certain = limit.certain_class()
    assert (certain >= 0).any()
    held = certain >= 0
    assert (limit.classifier()[held].gather(1, certain[held, None]) > 0.5).all()


def test_half_the_label_is_not_certain_through_rounding() -> None:
    """Bernoulli masks that keep as many pixels as they give have label 1/2, whatever the ratio law."""
    x, y = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64), torch.tensor([0, 1])
    mixed = MixedPoints.of(x, y, mt.Augmentation(RATIO, mt.masks.Bernoulli((2,))).table(4))
    limit = mixed.limit(torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64))
    assert_close(limit.classifier()[:2], torch.full((2, 2), 0.5, dtype=torch.float64), rounding(torch.float64, 1.0, 32))
    assert limit.certain_class()[:2].tolist() == [-1, -1]
    mass, labelled = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    mass[:, 0, 1] = 1
    labelled[:, 0, 1] = torch.tensor([0.5 + 2**-52, 0.5 + 2**-40], dtype=torch.float64)
    assert ClassMeasures(mass, labelled).certain_class().tolist() == [-1, 0]


def test_no_class_is_certain_between_two_others_or_at_half_the_label_or_where_nothing_is() -> None:
    mass = torch.zeros(4, 3, 3)
    labelled = torch.zeros(4, 3, 3)
    mass[0, 0, 0] = labelled[0, 0, 0] = 1
    mass[1, 0, 1], labelled[1, 0, 1] = 1, 0.5
    mass[2, 0, 0], mass[2, 1, 2], labelled[2, 1, 2] = 1, 0.1, 0.06
    assert ClassMeasures(mass, labelled).certain_class().tolist() == [0, -1, -1, -1]
    assert ClassMeasures(mass, labelled).classifier()[3].isnan().all()


@every_law
def test_distance_to_other_mixtures(law: mt.masks.MaskLaw) -> None:
    x, y = data()
    table = table_of(law)
    mixtures = naive_mixtures(x, y, table)
    expected = [
        min(naive_distance(point, row) for point, i, j, _, _ in mixtures if label not in (i, j))
        for row, label in zip(x.flatten(1).tolist(), y.tolist(), strict=True)
    ]
    allowed = rounding(torch.float64, 16.0, 16)
    found = distance_to_other_mixtures(x, y, table)
    assert_close(found, torch.tensor(expected, dtype=torch.float64), allowed, repr(law))


def test_a_sample_on_a_segment_between_samples_of_another_class_is_found() -> None:
    x, y = torch.tensor([[-1.0], [0.0], [1.0], [9.0]]), torch.tensor([0, 1, 0, 1])
    table = MixTable(torch.tensor([[0.5]]), torch.tensor([0.5]), torch.tensor([0.5]))
    assert distance_to_other_mixtures(x, y, table).tolist() == [1.0, 0.0, 1.0, 8.0]


def test_digits_are_not_mixtures_of_other_digits() -> None:
    images, classes = load_digits(return_X_y=True)
    x, y = torch.tensor(images[:60] / 16).reshape(-1, 8, 8), torch.tensor(classes[:60])
    table = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((8, 8))).table(4)
    nearest = distance_to_other_mixtures(x, y, table)
    samples = torch.cdist(x.flatten(1), x.flatten(1)).masked_fill(y[:, None] == y, torch.inf).amin(1)
    assert (nearest > 0).all()
    # with s = t every sample is its own mixture
    assert (nearest <= samples * (1 + rounding(torch.float64, 1.0, 64 * 4))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept_and_channels_broadcast(dtype: torch.dtype) -> None:
    x, y = data(dtype)
    colour = torch.stack([x, x + 1], dim=1)
    before = colour.clone()
    mixed = MixedPoints.of(colour, y, table_of(LAWS[2]))
    assert mixed.points.shape[1] == 8
    assert mixed.limit(colour).classifier().dtype == dtype
    assert distance_to_other_mixtures(colour, y, table_of(LAWS[2])).dtype == dtype
    assert torch.equal(colour, before)


def test_bad_input() -> None:
    x, y = data()
    table = table_of(LAWS[0])
    mixed = MixedPoints.of(x, y, table)
    with pytest.raises(ValueError, match="y has shape"):
        MixedPoints.of(x, y.double(), table)
    with pytest.raises(ValueError, match="y has shape"):
        distance_to_other_mixtures(x, y - 1, table)
    with pytest.raises(TypeError, match="table is"):
        MixedPoints.of(x, y, LAWS[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="eps="):
        mixed.measures(x, 0.0)
    with pytest.raises(ValueError, match="at has shape"):
        mixed.limit(x[:, 0])
    with pytest.raises(ValueError, match="mixed points take"):
        MixedPoints.of(torch.zeros(6000, 2, 2), torch.zeros(6000, dtype=torch.int64), table)
