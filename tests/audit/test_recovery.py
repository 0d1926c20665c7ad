"""Laws that are known are recovered: mean, second moment, label rule, pairing, roles, and what draws they need."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import msda_theory as mt
from msda_theory.audit import displacement_curve, displacement_means
from msda_theory.audit._bounds import RunningMean, distribution_bound, mean_bound, proportion_interval
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from tests.audit.mixers import UNIFORM, mixer
from tests.helpers import assert_close

H, W = 6, 9
SHAPE = (3, H, W)
LAWS: list[MaskLaw] = [
    Mixup((H, W)),
    *(CutMix((H, W), sampler=s) for s in SAMPLERS),
    HMix((H, W), r=0.5, sampler="inside"),
    Stochastic((H, W), sampler="clip"),
    Bernoulli((H, W)),
    GMix((H, W), kernel="printed"),
    GMix((H, W), kernel="released"),
]
MORE_LAWS = [HMix((H, W), r=0.5, sampler=s) for s in SAMPLERS] + [Stochastic((H, W), q=0.3, sampler="torus")]


def dense_by_displacement(matrix: np.ndarray) -> np.ndarray:
    """The mean over pixel pairs at each displacement, pair by pair."""
    total, count = (np.zeros((2 * H - 1, 2 * W - 1)) for _ in range(2))
    for j in range(H * W):
        for k in range(H * W):
            at = k // W - j // W + H - 1, k % W - j % W + W - 1
            total[at] += matrix[j, k]
            count[at] += 1
    return total / count


@pytest.mark.parametrize("law", [*LAWS, *MORE_LAWS], ids=repr)
def test_closed_forms_are_the_displacement_means_of_the_dense_second_moment(law: MaskLaw) -> None:
    for value in (0.3, 0.85):
        curve = sum(p * displacement_curve(part, mt.Discrete((value,), (1.0,))) for p, part in law.parts)
        dense = dense_by_displacement(law.second_moment(value).to_dense().numpy())
        assert_close(curve, dense, 4 * H * W * np.finfo(float).eps, f"{law!r} at {value}")


def test_the_autocorrelation_is_the_mean_of_products() -> None:
    image = np.random.default_rng(0).random((H, W))
    v = image.reshape(-1)
    assert_close(displacement_means(image), dense_by_displacement(np.outer(v, v)), 1e-13)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_a_law_is_recovered_from_its_outputs(law: MaskLaw) -> None:
    """The truth lies within the bounds everywhere, and the law is among those that fit."""
    report = mt.audit(mixer(law), SHAPE, draws=200, seed=1)
    rule = UNIFORM.rule(8, law.breaks)
    mean = sum(m * law.mean(float(r)).numpy() for r, m in zip(rule.ratio, rule.mass, strict=True))
    assert_close(report.maps.mean.value, mean, report.maps.mean.bound, "E[M]")
    curve = sum(p * displacement_curve(part, UNIFORM) for p, part in law.parts)
    assert_close(report.maps.second.value, curve, report.maps.second.bound, "a")
    assert repr(law) in {fit.law for fit in report.fits if fit.fits}
    assert report["mask"].figures["per"] == "sample"
    assert report["label"].figures["rule"] == ("realised" if isinstance(law, Mixup) else "nominal")
    assert report["mean mask"].figures["exactly constant"] == isinstance(law, Mixup)


def test_the_law_is_told_from_others() -> None:
    """Enough draws leave the one law, of all that draw such masks."""
    law = CutMix((H, W), sampler="inside")
    report = mt.audit(mixer(law), SHAPE, draws=800)
    assert [fit.law for fit in report.fits if fit.fits] == [repr(law)]
    assert "CutMix" in report["second moment"].answer
    assert all(not fit.possible for fit in report.fits if fit.law.startswith(("Mixup", "HMix", "GMix", "Stochastic")))


@pytest.mark.parametrize(
    ("law", "alike"),
    [
        (Mixup((H, W)), True),
        (Bernoulli((H, W)), True),
        (GMix((H, W), kernel="released"), True),
        (CutMix((H, W), sampler="inside"), False),
    ],
    ids=repr,
)
def test_roles(law: MaskLaw, alike: bool) -> None:
    report = mt.audit(mixer(law), SHAPE, draws=600)
    assert report["roles"].figures["alike"] is alike
    roles = next(h for h in report.hypotheses if "roles" in h.theorem)
    assert roles.verdict == ("met" if alike else "not met")
    assert ("as printed is not right" in report.expansion) is not alike


def test_roles_are_not_judged_where_the_ratio_is_not_symmetric() -> None:
    report = mt.audit(mixer(CutMix((H, W), sampler="inside"), ratio=mt.Beta(4.0, 1.0)), SHAPE, draws=200)
    assert report["roles"].figures["alike"] is None
    assert next(h for h in report.hypotheses if "roles" in h.theorem).verdict == "not decided"


def test_the_mean_is_the_ratio_on_the_torus_and_not_inside() -> None:
    """Realised labels: E[M - w] = 0 for a box that wraps around the border, and not for one inside the image."""
    verdicts = {}
    for sampler in ("torus", "inside"):
        law = CutMix((H, W), sampler=sampler)
        report = mt.audit(mixer(law, label="realised"), SHAPE, draws=400)
        assert report["label"].figures["rule"] == "realised"
        verdicts[sampler] = report.hypotheses[0].verdict
    assert verdicts == {"torus": "met", "inside": "not met"}


@pytest.mark.parametrize("per", ["batch", "pair", "sample"])
def test_how_ratios_and_masks_are_shared(per: str) -> None:
    report = mt.audit(mixer(CutMix((H, W), sampler="clip"), per=per, pairing="flip"), SHAPE, draws=50)
    assert (report["ratio"].figures["per"], report["mask"].figures["per"]) == (per, per)


@pytest.mark.parametrize("pairing", ["permutation", "any", "roll", "flip"])
def test_pairs(pairing: str) -> None:
    report = mt.audit(mixer(Mixup((H, W)), pairing=pairing), SHAPE, draws=300)
    found = report["pairs"].figures
    fixed = pairing in ("roll", "flip")
    assert found["fixed"] is fixed
    expected = 0.0 if fixed else 1 / 6
    assert abs(found["self-pairs"] - expected) <= (0 if fixed else found["bound"])


def test_an_empty_box_is_not_a_pair_of_one() -> None:
    """Boxes are empty at most ratios here: their masks of ones belong to E[M], for fixed and for drawn pairs."""
    law = CutMix((2, 3), sampler="inside")
    ratio = mt.Discrete((0.9, 0.4), (0.5, 0.5))
    for pairing, per in (("roll", "batch"), ("permutation", "sample")):
        report = mt.audit(mixer(law, ratio=ratio, pairing=pairing, per=per, label="realised"), (3, 2, 3), draws=300)
        mean = (law.mean(0.9) + law.mean(0.4)) / 2
        assert_close(report.maps.mean.value, mean, report.maps.mean.bound, pairing)


def test_a_batch_left_alone_counts_as_masks_of_ones() -> None:
    report = mt.audit(mixer(Mixup((H, W)), chance=0.5), SHAPE, draws=400)
    assert_close(report.maps.mean.value, torch.full((H, W), 0.75), report.maps.mean.bound)
    assert report.maps.mean.bound.max() < 0.3


def test_the_ratio_can_be_forced() -> None:
    def at(value: float):
        if value == 0.25:
            raise ValueError("not a quarter")
        return mixer(CutMix((4, 6), sampler="inside"), ratio=mt.Discrete((value,), (1.0,)), pairing="roll")

    report = mt.audit(at(0.5), (3, 4, 6), draws=20, at_ratio=at, ratio=mt.Discrete((0.5,), (1.0,)))
    found = report["forced ratio"].figures
    assert found["0.25"] == "refused: ValueError: not a quarter"
    assert found["0"].startswith("area kept 0,") and found["0.75"] == "area kept 0.75, label weight 0.75"
    assert found["0.5"] == f"area kept {1 - 8 / 24:.4g}, label weight 0.5"


def test_a_seed_fixes_the_report_and_the_global_states_stay() -> None:
    torch.manual_seed(3)
    np.random.seed(4)  # noqa: NPY002
    random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    reports = [mt.audit(mixer(GMix((H, W), kernel="printed")), SHAPE, draws=30, seed=s).to_dict() for s in (7, 7, 8)]
    assert reports[0] == reports[1] != reports[2]
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0]) and (before[1] == after[1]).all() and before[2] == after[2]


def test_the_bounds_hold_as_often_as_they_say() -> None:
    """Empirical Bernstein at 10%: of 500 means of 200 Bernoulli draws, 50 may be missed; it is conservative."""
    values = (np.random.default_rng(0).random((500, 200)) < 0.1).astype(float)
    bound = mean_bound(values.var(1, ddof=1), 200, 0.1, 1)
    assert (np.abs(values.mean(1) - 0.1) > bound).mean() <= 0.1
    assert bound.max() < 0.2
    wider = mean_bound(values.var(1, ddof=1), 200, 0.1, 100)
    assert (wider > bound).all()


def test_other_bounds_against_closed_forms() -> None:
    assert proportion_interval(0, 10, 0.05) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert distribution_bound(200, 0.05) == pytest.approx(np.sqrt(np.log(40) / 400))
    values = np.random.default_rng(0).random((37, 4)) + 1e6
    running = RunningMean()
    for part in np.array_split(values, 5):
        running.add(part)
    assert_close(running.mean, values.mean(0), 1e-9)
    assert_close(running.variance, values.var(0, ddof=1), 1e-9)
