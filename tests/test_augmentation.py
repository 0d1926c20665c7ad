"""What a sample sees over both roles, and the table of masks, against naive sums, closed forms and simulation."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch

import msda_theory as mt
from msda_theory import NotEnumerableError, RatioLaw
from msda_theory.augmentation import LABEL_RULES, MixTable, require_dense
from msda_theory.exact import pair_loss
from tests import oracles
from tests.helpers import TanhNetwork, assert_close, inputs, labels
from tests.masks.cases import Case, cutmix, gmix, hmix, stochastic
from verify.tolerances import bounded_mean, rounding

CASES = [
    Case(mt.masks.Mixup((3,)), oracles.mixup(3)),
    Case(mt.masks.Bernoulli((3,)), oracles.bernoulli(3)),
    *(cutmix((2, 3), sampler) for sampler in mt.masks.SAMPLERS),
    *(hmix((2, 3), Fraction(1, 2), sampler) for sampler in ("inside", "clip")),
    gmix((2, 3), "printed"),
    gmix((2, 3), "released"),
    stochastic((2, 3), Fraction(1, 4), "clip"),
]
RATIOS: list[RatioLaw] = [
    mt.Beta(0.3, 2.0),
    mt.Discrete((0.25, 0.9), (0.4, 0.6)),
    mt.Mixture((0.5, 0.5), (mt.Beta(2.0, 1.0), mt.Discrete((0.7,), (1.0,)))),
]
BETA = mt.Beta(0.3, 2.0)
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_ratio = pytest.mark.parametrize("ratio", RATIOS, ids=repr)
every_label = pytest.mark.parametrize("label", LABEL_RULES)
Nodes = list[tuple[float, float, float]]


@cache
def augmented(ratio: RatioLaw, case: Case, label: str) -> mt.Augmentation:
    """One object for all tests, which keeps its moments."""
    return mt.Augmentation(ratio, case.law, label)


@cache
def nodes(ratio: RatioLaw, case: Case) -> Nodes:
    """A rule of the oracle for any of RATIOS."""
    if isinstance(ratio, mt.Beta):
        return oracles.ratio_nodes(ratio.a, ratio.b, case.jumps)
    if isinstance(ratio, mt.Discrete):
        return [(v, 1 - v, w) for v, w in zip(ratio.values, ratio.weights, strict=True)]
    assert isinstance(ratio, mt.Mixture)
    parts = zip(ratio.weights, ratio.components, strict=True)
    return [(v, rest, p * w) for p, law in parts for v, rest, w in nodes(law, case)]


def allowed(seen_error: float = 0.0) -> float:
    return seen_error + oracles.QUADRATURE_ERROR + rounding(torch.float64, 1.0, 500)


@every_case
@every_ratio
@every_label
def test_seen_moments_are_those_of_both_roles(case: Case, ratio: RatioLaw, label: str) -> None:
    seen = augmented(ratio, case, label).seen()
    first, second = oracles.seen_moments(case.twin, nodes(ratio, case), case.law.size, label)
    assert_close(seen.first, first, allowed(seen.error), "E[N]")
    assert_close(seen.second, second, allowed(seen.error), "E[N N^T]")


@every_case
@every_ratio
def test_the_structured_moments_are_those_of_the_matrix(case: Case, ratio: RatioLaw) -> None:
    augmentation = augmented(ratio, case, "nominal")
    seen = augmentation.seen()
    assert_close(augmentation.seen_first_moment(), seen.first, 2 * allowed(seen.error), "E[N]")
    assert_close(augmentation.seen_second_moment().to_dense(), seen.second, 1e-11 + seen.error, "E[N N^T]")
    realised = augmented(ratio, case, "realised")
    for refused in (realised.seen_first_moment, realised.seen_second_moment):
        with pytest.raises(ValueError, match=r"label='realised': .*label='nominal'; seen\(\)\."):
            refused()


@every_case
@every_ratio
@every_label
def test_the_table_reproduces_the_moments(case: Case, ratio: RatioLaw, label: str) -> None:
    """Weights sum to one, the shares of the labels to E[w], masks are distinct; N over both roles as `seen` has it."""
    augmentation = augmented(ratio, case, label)
    table, seen = augmentation.table(64), augmentation.seen()
    kept = table.masks.flatten(1)
    gone = 1 - kept
    assert len(torch.unique(kept, dim=0)) == len(table)
    assert_close((table.first + table.second).sum(), 1.0, allowed(), "total")
    assert (table.first >= 0).all() and (table.second >= 0).all()
    assert_close(table.first @ gone + table.second @ kept, seen.first, allowed(seen.error), "E[N]")
    second = gone.T @ (table.first.unsqueeze(-1) * gone) + kept.T @ (table.second.unsqueeze(-1) * kept)
    assert_close(second, seen.second, allowed(seen.error), "E[N N^T]")
    expected = ratio.mean if label == "nominal" else float((table.first + table.second) @ kept.mean(1))
    assert_close(table.first.sum(), expected, allowed(), "E[w]")


@every_case
@every_label
def test_draws_reproduce_the_moments(case: Case, label: str) -> None:
    """w (1-M) + (1-w) M lies in [0, 1]; Bernstein's bound, one seed in a million fails a correct sampler."""
    augmentation, n = augmented(mt.Beta(0.3, 2.0), case, label), 4000
    draw, seen = augmentation.draw(n, seed=7), augmentation.seen()
    kept, w = draw.masks.flatten(1), draw.label.unsqueeze(-1)
    found = (w * (1 - kept) + (1 - w) * kept).mean(0)
    second = ((w * (1 - kept)).T @ (1 - kept) + ((1 - w) * kept).T @ kept) / n
    for what, mean, expected in (("E[N]", found, seen.first), ("E[N N^T]", second, seen.second)):
        comparisons = case.law.size * (case.law.size + 1)
        halfwidth = [bounded_mean(m * (1 - m), n, comparisons=comparisons) for m in expected.flatten().tolist()]
        assert_close(mean, expected, torch.tensor(halfwidth).reshape(expected.shape), what)


def test_draws_are_reproducible_and_advance_a_generator() -> None:
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Bernoulli((3,)))
    first, again = augmentation.draw(20, seed=1), augmentation.draw(20, seed=1)
    assert torch.equal(first.masks, again.masks) and torch.equal(first.label, again.label)
    generator = np.random.default_rng(1)
    assert torch.equal(augmentation.draw(20, generator).masks, first.masks)
    assert not torch.equal(augmentation.draw(20, generator).masks, first.masks)


@every_label
def test_placed_draws_are_ratios_and_masks_where_the_numbers_put_them(label: str) -> None:
    """Eight ratios of an atom law and twelve positions an axis: on the grid of midpoints the means are exact."""
    ratio, law = mt.Discrete((0.25, 0.9), (0.375, 0.625)), mt.masks.CutMix((2, 3), sampler="inside")
    augmentation = mt.Augmentation(ratio, law, label)
    assert augmentation.uniforms == 3
    eight, twelve = ((torch.arange(n, dtype=torch.float64) + 0.5) / n for n in (8, 12))
    draw, seen = augmentation.placed(torch.cartesian_prod(eight, twelve, twelve)), augmentation.seen()
    kept, w = draw.masks.flatten(1), draw.label.unsqueeze(-1)
    assert_close((w * (1 - kept) + (1 - w) * kept).mean(0), seen.first, allowed(seen.error), "E[N]")
    assert_close(draw.ratio.mean(), ratio.mean, allowed(), "E[lambda]")
    assert_close(draw.label, draw.ratio if label == "nominal" else kept.mean(1), 0.0, "w")


def test_what_no_number_places_is_drawn_from_the_seed() -> None:
    """Neither Bernoulli masks nor a mixture of ratio laws are placed by an inverse."""
    augmentation = mt.Augmentation(RATIOS[2], mt.masks.Bernoulli((3,)))
    uniform = torch.full((20, augmentation.uniforms), 0.5, dtype=torch.float64)
    first, again, other = (augmentation.placed(uniform, seed) for seed in (1, 1, 2))
    assert torch.equal(first.masks, again.masks) and torch.equal(first.ratio, again.ratio)
    assert not torch.equal(first.masks, other.masks) and not torch.equal(first.ratio, other.ratio)
    assert len(first.ratio.unique()) > 1
    generator = np.random.default_rng(1)
    assert torch.equal(augmentation.placed(uniform, generator).ratio, first.ratio)
    assert not torch.equal(augmentation.placed(uniform, generator).masks, first.masks)


# -- closed forms


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 2.0), (0.1, 0.1), (5.0, 2.5)])
def test_mixup_and_bernoulli_in_closed_form(a: float, b: float) -> None:
    """E over both roles of N is 2 E[l(1-l)], of N_j N_k for Mixup E[l(1-l)^2 + (1-l) l^2] = E[l(1-l)] = E_D~(1-l)^2.

    Bernoulli has the same off the diagonal, and N_j^2 = N_j on it.
    """
    spread = a * b / ((a + b) * (a + b + 1))
    ratio = mt.Beta(a, b)
    mixup, bernoulli = (mt.Augmentation(ratio, law((3,))).seen() for law in (mt.masks.Mixup, mt.masks.Bernoulli))
    full = torch.full((3, 3), spread, dtype=torch.float64)
    for seen in (mixup, bernoulli):
        assert_close(seen.first, torch.full((3,), 2 * spread, dtype=torch.float64), allowed(seen.error), "E[N]")
    assert_close(mixup.second, full, allowed(mixup.error), "Mixup")
    assert_close(
        bernoulli.second, full + spread * torch.eye(3, dtype=torch.float64), allowed(bernoulli.error), "Bernoulli"
    )
    assert_close(ratio.tilted().moment(0, 2), spread, allowed(), "E_D~(1-l)^2")


@pytest.mark.parametrize("kernel", ["printed", "released"])
def test_only_the_symmetric_laws_have_the_printed_moments(kernel: str) -> None:
    """E_D~ a_jk is right where M(lambda) and 1-M(1-lambda) have one law: the released GMix, not the printed one."""
    law = mt.masks.GMix((3, 4), kernel=kernel)
    seen = mt.Augmentation(mt.Beta(0.3, 2.0), law).seen()
    tilted = mt.Beta(0.3, 2.0).tilted()
    rule = tilted.rule(32, law.breaks)
    printed = sum(m * law.second_moment(float(v)).to_dense() for v, m in zip(rule.ratio, rule.mass, strict=True))
    assert ((seen.second - printed).abs().max() <= 1e-10) == (kernel == "released")


@every_case
def test_the_label_rules_agree_where_the_mask_is_constant(case: Case) -> None:
    """Mixup: the mean of the mask is lambda.  For the rest the rules differ."""
    nominal, realised = (augmented(mt.Beta(0.3, 2.0), case, label).seen() for label in LABEL_RULES)
    agree = float((nominal.second - realised.second).abs().max()) <= allowed(nominal.error + realised.error)
    assert agree == isinstance(case.law, mt.masks.Mixup)


def test_exact_where_the_average_over_the_ratio_is_a_finite_sum() -> None:
    for case in CASES:
        augmentation = augmented(mt.Beta(0.3, 2.0), case, "nominal")
        is_box = isinstance(case.law, mt.masks.CutMix)
        assert augmentation.exact_in_ratio == is_box
        assert augmentation.seen().error == 0 or not is_box
    mixed = mt.masks.Stochastic((2, 3), q=0.0, sampler="clip")
    assert mt.Augmentation(mt.Beta(1.0, 1.0), mixed).exact_in_ratio, "no Mixup in it"


@pytest.mark.parametrize("law", [mt.masks.Mixup((2, 3)), mt.masks.CutMix((2, 3), sampler="inside")], ids=repr)
@pytest.mark.parametrize(
    "ratio", [mt.Discrete((0.0, 0.5, 1.0), (0.25, 0.5, 0.25)), mt.Discrete((0.2, 0.7), (0.0, 1.0)), mt.UpperHalf(BETA)]
)
def test_ratios_at_the_ends_count_and_those_without_weight_do_not(ratio: RatioLaw, law: mt.masks.MaskLaw) -> None:
    """Neither a node of which one sample has all the weight is lost, nor is one of no weight divided by it."""
    table = mt.Augmentation(ratio, law).table(32)
    assert_close((table.first + table.second).sum(), 1.0, allowed(), "total")
    assert_close(table.first.sum(), ratio.mean, allowed(), "E[lambda]")


def test_the_order_does_not_matter_to_a_finite_sum() -> None:
    augmentation = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.CutMix((3, 4), sampler="clip"))
    low, high = augmentation.table(1), augmentation.table(16)
    assert torch.equal(low.masks, high.masks) and torch.equal(low.first, high.first)


def test_a_table_moves_to_a_dtype() -> None:
    table = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))).table(4).to(torch.zeros(1, dtype=torch.float32))
    assert {table.masks.dtype, table.first.dtype, table.second.dtype} == {torch.float32}


# -- masks that mirror each other


@pytest.mark.parametrize(
    ("law", "ratio", "listed", "kept"),
    [
        (mt.masks.Mixup((2, 2)), mt.Beta(0.7, 0.7), 16, 8),
        (mt.masks.Mixup((2, 2)), BETA, 16, 16),
        (mt.masks.Bernoulli((2, 2)), BETA, 16, 8),
        (mt.masks.CutMix((2, 2), sampler="inside"), BETA, 5, 5),
    ],
    ids=["Mixup", "Mixup, unequal", "Bernoulli", "CutMix"],
)
def test_over_all_pairs_one_of_two_mirrored_masks_does(
    law: mt.masks.MaskLaw, ratio: RatioLaw, listed: int, kept: int
) -> None:
    """Samples and labels that are no mirror images: weights given to the wrong sample change the loss."""
    x, loss, model = inputs(4, 2, 2), mt.losses.Logistic(), TanhNetwork((2, 2))
    y, table = labels(loss, 4, 1), mt.Augmentation(ratio, law).table(16)
    halved = table.without_mirrored()
    assert (len(table), len(halved)) == (listed, kept)
    whole, part = (pair_loss(model, loss, x, y, t) for t in (table, halved))
    assert_close(part, whole, rounding(torch.float64, 50.0, 200))


def test_a_pair_of_mirrored_masks_has_the_weights_of_both() -> None:
    """Which of the two is kept is told by the first pixel that is not 1/2, to rounding."""
    half = 0.5 + 1e-15
    masks = torch.tensor([[0.5, 0.9], [half, 0.1], [0.2, 0.9], [0.5, half]], dtype=torch.float64)
    weights = torch.tensor([1.0, 2, 3, 4]).double(), torch.tensor([10.0, 20, 30, 40]).double()
    found = MixTable(masks, *weights).without_mirrored()
    assert_close(found.masks, masks[[2, 1, 3]], 4e-15)
    assert found.first.tolist() == [3.0, 12.0, 4.0]
    assert found.second.tolist() == [30.0, 21.0, 40.0]


# -- refused


def test_too_large_a_table_is_refused_before_it_is_made() -> None:
    law = mt.masks.CutMix((512, 512), sampler="inside")
    with pytest.raises(NotEnumerableError, match=r"CutMix\(\(512, 512\).*masks of 262144 pixels.*monte-carlo"):
        mt.Augmentation(mt.Beta(1.0, 1.0), law).table(4)


def test_too_large_a_dense_moment_is_refused() -> None:
    require_dense(mt.masks.Mixup((64, 64)))
    with pytest.raises(ValueError, match=r"Mixup\(\(4097,\)\) has d = 4097 pixels.*up to d = 4096"):
        mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((4097,))).seen()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ratio": 0.5}, "ratio is 0.5: needed is a RatioLaw"),
        ({"ratio": mt.Beta}, "ratio is the class Beta: needed is a RatioLaw"),
        ({"mask": "CutMix"}, "mask is 'CutMix': needed is a MaskLaw"),
    ],
)
def test_a_part_of_the_wrong_kind(changed: dict, message: str) -> None:
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    with pytest.raises(TypeError, match=message):
        replace(augmentation, **changed)
