"""What every mask law promises, for each entry of tests/masks/cases.py."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chi2, norm
from torch import Tensor

from msda_theory import NotEnumerableError, masks
from msda_theory.masks import Bernoulli
from tests import oracles
from tests.helpers import assert_close
from tests.masks.cases import CASES, ORDINARY, Case
from tests.oracles import Number
from verify.tolerances import FALSE_ALARM, bounded_mean, rounding

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_list = pytest.mark.parametrize("case", [case for case in CASES if case.enumerable], ids=str)
DRAWS = 3000


def allowed(case: Case) -> float:
    """Means over at most a hundred equally likely masks, each pixel good to a few eps."""
    return rounding(torch.float64, 1.0, 16 + case.law.size)


def moments(case: Case, ratio: float) -> Tensor:
    return torch.cat([case.law.mean(ratio).reshape(1, -1), case.law.second_moment(ratio).to_dense()])


def twin_moments(case: Case, ratio: Number) -> tuple[Tensor, Tensor]:
    """E[M] (d,) and E[(1-M_j)(1-M_k)] (d, d) of the twin."""
    atoms = case.twin(ratio)
    rows = [oracles.mean(atoms), *oracles.second_moment(atoms)]
    packed = torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64)
    return packed[0], packed[1:]


def bernstein(expected: Tensor, draws: int) -> Tensor:
    """How far means of draws in [0, 1], variance at most m (1-m), may lie; one seed in a million is beyond."""
    comparisons = expected.numel() + len(expected)
    halfwidth = [bounded_mean(m * (1 - m), draws, comparisons=comparisons) for m in expected.flatten().tolist()]
    return torch.tensor(halfwidth, dtype=torch.float64).reshape(expected.shape)


def lengths(case: Case) -> list[tuple[float, float]]:
    """The intervals of ratios without a jump."""
    return list(pairwise([0.0, *map(float, case.jumps), 1.0]))


@every_list
def test_atoms_are_those_of_the_twin(case: Case) -> None:
    for ratio in case.ratios:
        atoms = case.law.atoms(float(ratio))
        assert atoms.masks.shape == (len(atoms.probabilities), *case.law.shape)
        assert atoms.masks.dtype == atoms.probabilities.dtype == torch.float64
        pairs = zip(atoms.probabilities.tolist(), map(tuple, atoms.masks.flatten(1).tolist()), strict=True)
        found, expected = oracles.distribution(list(pairs)), oracles.distribution(case.twin(ratio))
        assert found.keys() == expected.keys(), f"masks at {ratio}"
        for mask, probability in expected.items():
            assert_close(found[mask], probability, allowed(case), f"probability of {mask} at {ratio}")


@every_case
def test_mean_and_second_moment_are_those_of_the_twin(case: Case) -> None:
    """Boxes, Mixup and Bernoulli: the twin is exact, in fractions."""
    for ratio in case.ratios:
        mean, second = twin_moments(case, ratio)
        assert_close(case.law.mean(float(ratio)), mean.reshape(case.law.shape), allowed(case), f"mean at {ratio}")
        found = case.law.second_moment(float(ratio)).to_dense()
        estimated = bernstein(second, case.fields) if case.fields else 0.0
        assert_close(found, second, allowed(case) + estimated, f"second moment at {ratio}")


@every_list
def test_atoms_reproduce_the_law_s_own_moments(case: Case) -> None:
    for ratio in case.ratios:
        atoms = case.law.atoms(float(ratio))
        p, gone = atoms.probabilities, 1 - atoms.masks.flatten(1)
        assert_close(p.sum(), 1.0, allowed(case), f"total at {ratio}")
        assert (p >= 0).all()
        assert ((gone >= 0) & (gone <= 1)).all(), f"mask outside [0, 1] at {ratio}"
        expected = torch.cat([1 - (p @ gone).unsqueeze(0), gone.T @ (p.unsqueeze(-1) * gone)])
        assert_close(moments(case, float(ratio)), expected, allowed(case), f"moments at {ratio}")


@every_list
def test_count_is_the_number_of_atoms(case: Case) -> None:
    for ratio in case.ratios:
        assert case.law.count(float(ratio)) == len(case.law.atoms(float(ratio)).masks)


@every_case
def test_the_second_moment_is_one(case: Case) -> None:
    """Symmetric; less the product of the means, positive semi-definite; its diagonal E(1-M)^2 below E(1-M)."""
    for ratio in case.ratios:
        second, gone = case.law.second_moment(float(ratio)).to_dense(), 1 - case.law.mean(float(ratio)).flatten()
        assert second.shape == (case.law.size, case.law.size)
        assert_close(second, second.T, allowed(case), f"symmetry at {ratio}")
        smallest = torch.linalg.eigvalsh(second - torch.outer(gone, gone))[0]
        assert smallest >= -case.law.size * allowed(case), f"negative variance {smallest} at {ratio}"
        assert not case.confined or (second.diagonal() <= gone + allowed(case)).all(), f"diagonal at {ratio}"


@every_list
def test_samples_lie_among_the_atoms(case: Case) -> None:
    ratios = torch.tensor([float(r) for r in case.ratios], dtype=torch.float64)
    for seed in range(5):
        for ratio, mask in zip(ratios.tolist(), case.law.sample(ratios, seed), strict=True):
            distance = (case.law.atoms(ratio).masks - mask).abs().flatten(1).amax(1).min()
            assert distance <= rounding(torch.float64, 1.0, 4), f"a mask that cannot be, at {ratio}"


@every_case
@pytest.mark.parametrize("ratio", [0.3, 0.62])
def test_samples_reproduce_the_moments(case: Case, ratio: float) -> None:
    """Bernstein's bound, or for a Gaussian chi-squares, shared by all entries; one seed in a million would fail."""
    drawn = 1 - case.law.sample(torch.full((DRAWS,), ratio, dtype=torch.float64), seed=11).flatten(1)
    mean, second = twin_moments(case, ratio)
    if not case.confined:
        return assert_gaussian(drawn - (1 - ratio), second - (1 - ratio) ** 2)
    assert_close(drawn.mean(0), 1 - mean, bernstein(1 - mean, DRAWS), f"mean of {DRAWS} draws")
    assert_close(drawn.T @ drawn / DRAWS, second, bernstein(second, DRAWS), f"second moment of {DRAWS} draws")


def assert_gaussian(centred: Tensor, covariance: Tensor) -> None:
    """The draws' sums, and their squares along e_j and e_j +- e_k, which fix a covariance: normal and chi-square."""
    size, draws = len(covariance), len(centred)
    unit = torch.eye(size, dtype=torch.float64)
    pairs = [unit[j] + sign * unit[k] for j in range(size) for k in range(j) for sign in (-1, 1)]
    directions = torch.stack([*unit, *pairs])
    variances = ((directions @ covariance) * directions).sum(-1)
    assert (variances > 1e-6).all(), "a direction without variance tests nothing"
    along = centred @ directions.T / variances.sqrt()
    tail = FALSE_ALARM / (4 * len(directions))
    assert along.sum(0).abs().max() <= norm.isf(tail) * draws**0.5, "mean"
    squares = along.square().sum(0)
    assert chi2.isf(1 - tail, draws) <= squares.min(), "too little variance"
    assert squares.max() <= chi2.isf(tail, draws), "too much variance"


@every_case
def test_sampling_is_reproducible_and_advances_a_generator(case: Case) -> None:
    ratio = torch.linspace(0.1, 0.9, 40, dtype=torch.float64)
    first = case.law.sample(ratio, seed=5)
    assert torch.equal(first, case.law.sample(ratio, seed=5))
    generator = np.random.default_rng(5)
    again, later = case.law.sample(ratio, generator), case.law.sample(ratio, generator)
    assert torch.equal(first, again)
    is_random = any(len(oracles.distribution(case.twin(r))) > 1 for r in ratio.tolist())
    assert torch.equal(first, later) != is_random


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_samples_keep_the_dtype_and_the_ratio(case: Case, dtype: torch.dtype) -> None:
    ratio = torch.tensor([0.25, 0.5, 0.75], dtype=dtype)
    before = ratio.clone()
    drawn = case.law.sample(ratio, seed=0)
    assert drawn.dtype == dtype
    assert drawn.shape == (3, *case.law.shape)
    assert torch.equal(ratio, before)
    assert case.law.sample(ratio[:0], seed=0).shape == (0, *case.law.shape)


@every_case
def test_the_law_is_continuous_except_at_its_jumps(case: Case) -> None:
    """The steepest of these laws have d E/d lambda below 20; two ratios 2e-9 apart are then within 4e-8."""
    near = 1e-9
    everywhere = {*np.linspace(0.02, 0.9, 23).tolist(), *(1 - (k / n) ** 2 for n in (2, 3, 4, 5) for k in range(1, n))}
    for ratio in everywhere:
        if min((abs(ratio - float(jump)) for jump in case.jumps), default=1.0) > 2 * near:
            assert_close(moments(case, ratio - near), moments(case, ratio + near), 4e-8, f"moments about {ratio}")


@every_case
def test_breaks_include_every_jump(case: Case) -> None:
    assert list(case.law.breaks) == sorted(set(case.law.breaks))
    assert all(0 < b < 1 for b in case.law.breaks)
    for jump in case.jumps:
        distance = min(abs(float(jump) - b) for b in case.law.breaks)
        assert distance <= rounding(torch.float64, 1.0, 4), f"no break at {jump}"


@every_case
def test_the_law_is_constant_between_breaks_where_it_says_so(case: Case) -> None:
    """And changes there where it does not; a mixture says nothing itself, its parts do."""
    inside = [(left, left + t * (right - left)) for left, right in lengths(case) for t in (0.001, 0.5, 0.999)]
    firsts = {left: moments(case, left + 0.01 * (right - left)) for left, right in lengths(case)}
    same = all(torch.equal(moments(case, ratio), firsts[left]) for left, ratio in inside)
    assert same == all(law.constant_between_breaks for _, law in case.law.parts)


@every_case
def test_parts_mix_to_the_whole(case: Case) -> None:
    weights, laws = zip(*case.law.parts, strict=True)
    assert sum(weights) == pytest.approx(1.0)
    for ratio in map(float, ORDINARY):
        mixed = sum(
            p * torch.cat([law.mean(ratio).reshape(1, -1), law.second_moment(ratio).to_dense()])
            for p, law in zip(weights, laws, strict=True)
        )
        assert_close(mixed, moments(case, ratio), allowed(case), f"parts at {ratio}")
        assert all(set(law.breaks) <= set(case.law.breaks) for law in laws)


@pytest.mark.parametrize("case", [case for case in CASES if case.remade], ids=str)
def test_repr_makes_the_law_again(case: Case) -> None:
    again = eval(repr(case.law), vars(masks))
    assert type(again) is type(case.law)
    assert repr(again) == repr(case.law)
    for ratio in map(float, ORDINARY):
        assert torch.equal(moments(replace(case, law=again), ratio), moments(case, ratio))
    for ratio in map(float, ORDINARY if case.enumerable else ()):
        assert torch.equal(again.atoms(ratio).masks, case.law.atoms(ratio).masks)
        assert torch.equal(again.atoms(ratio).probabilities, case.law.atoms(ratio).probabilities)


@every_case
@pytest.mark.parametrize("ratio", [-0.1, 1.5, float("nan"), float("inf"), 1 + 2**-52])
def test_a_ratio_outside_0_1_is_refused(case: Case, ratio: float) -> None:
    for method in (case.law.mean, case.law.second_moment, case.law.atoms, case.law.count):
        with pytest.raises(ValueError, match=r"ratio=.*needed is a number in \[0, 1\]"):
            method(ratio)
    with pytest.raises(ValueError, match=r"ratio=.*needed is a number in \[0, 1\]"):
        case.law.sample(torch.tensor([0.5, ratio], dtype=torch.float64))


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (0.5, "float"),
        (torch.tensor([0, 1]), r"shape \(2,\), torch.int64"),
        (torch.tensor(0.5), r"shape \(\), torch.float32"),
        (torch.full((2, 1), 0.5), r"shape \(2, 1\), torch.float32"),
    ],
)
def test_ratios_of_another_kind_are_refused(ratio: object, said: str) -> None:
    with pytest.raises(TypeError, match=rf"ratio \({said}\): needed is a floating tensor \(n,\)"):
        Bernoulli((2,)).sample(ratio)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", [case for case in CASES if not case.enumerable], ids=str)
def test_a_law_without_a_list_of_masks_says_so(case: Case) -> None:
    for method in (case.law.atoms, case.law.count):
        with pytest.raises(NotEnumerableError, match=re.escape(repr(case.law)) + ".*use method='monte-carlo'"):
            method(0.4)


def test_too_many_masks_are_refused() -> None:
    law = Bernoulli((5, 5))
    assert law.count(0.5) == 2**25
    with pytest.raises(NotEnumerableError, match=r"Bernoulli\(\(5, 5\)\) has 2\^25 masks.*monte-carlo"):
        law.atoms(0.5)


def test_every_law_of_the_package_is_here() -> None:
    public = {getattr(masks, name) for name in masks.__all__}
    laws = {law for law in public if isinstance(law, type) and issubclass(law, masks.MaskLaw)} - {masks.MaskLaw}
    assert laws == {type(case.law) for case in CASES}
    assert {case.law.sampler for case in CASES if isinstance(case.law, masks.CutMix)} == set(masks.SAMPLERS)
    assert {case.law.kernel for case in CASES if isinstance(case.law, masks.GMix)} == set(masks.KERNELS)


def test_the_twins_are_exact_where_they_can_be() -> None:
    """A float that slipped into the fractions of a box would hide a wrong side."""
    exact = [case for case in CASES if not isinstance(case.law, (masks.GMix, masks.FMix))]
    for case in exact:
        assert all(isinstance(v, (Fraction, int)) for v in oracles.mean(case.twin(Fraction(1, 3))))
