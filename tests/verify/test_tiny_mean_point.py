"""The expansion about mean mixed points in exact arithmetic, for every tiny law, and the library against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from flint import fmpq

from msda_theory import Augmentation, Beta, masks, mean_point_loss
from paper_checks.exact_cases import is_nonzero, is_zero, problem, tiny_laws
from tests.verify.test_tiny import TinyLoss, as_float, as_tensor, network
from verify.tiny_laws import TinyLaw, bernoulli, cutmix, mixup
from verify.tiny_mean_point import mean_point_terms
from verify.tiny_problems import BetaInt, TinyProblem, expansion, msda_loss, two_role_moments

RATIO = BetaInt(3, 1)
NAMES = ("mixup", "bernoulli", "cutmix", "hmix", "gmix", "stochastic")
LAWS = [law for name in NAMES for law in tiny_laws(name)]


def tiny(law: TinyLaw, *, linear: bool) -> TinyProblem:
    return problem(law.size, 3 if law.size < 4 else 2, linear=linear, centred=False)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_it_is_exact_for_linear_f_with_the_squared_loss(law: TinyLaw) -> None:
    """As the expansion about the data is: both agree with (4)."""
    p = tiny(law, linear=True)
    exact, terms = msda_loss(p, law, RATIO), mean_point_terms(p, law, RATIO)
    assert is_zero(exact - terms.total)
    assert terms.left == 0
    if law.polynomial:
        assert exact == expansion(p, two_role_moments(law, RATIO)).total


@pytest.mark.parametrize("law", [law for law in LAWS if "GMix" not in law.name], ids=lambda law: law.name)
def test_a_quadratic_f_with_a_linear_h_leaves_the_label_term_of_third_order(law: TinyLaw) -> None:
    """Exactly; and with one label for all samples nothing is left."""
    p = tiny(law, linear=False)
    terms = mean_point_terms(p, law, RATIO)
    assert is_zero(msda_loss(p, law, RATIO) - terms.total - terms.left)
    same = replace(p, y=[fmpq(2, 3)] * len(p.y))
    assert is_zero(msda_loss(same, law, RATIO) - mean_point_terms(same, law, RATIO).total)


def test_the_label_term_of_third_order_is_not_always_zero() -> None:
    assert is_nonzero(mean_point_terms(tiny(bernoulli(3), linear=False), bernoulli(3), RATIO).left)


@pytest.mark.parametrize("linear", [True, False])
def test_the_partners_ratio_left_as_it_is_is_noticed(linear: bool) -> None:
    law = mixup(3)
    p = tiny(law, linear=linear)
    terms = mean_point_terms(p, law, RATIO, faulty=True)
    assert is_nonzero(msda_loss(p, law, RATIO) - terms.total - terms.left)


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize(
    ("law", "mask"),
    [
        (mixup(4), masks.Mixup((2, 2))),
        (bernoulli(3), masks.Bernoulli((3,))),
        (cutmix(2, 3, "clip"), masks.CutMix((2, 3), sampler="clip")),
        (cutmix(2, 3, "inside"), masks.CutMix((2, 3), sampler="inside")),
    ],
    ids=lambda v: getattr(v, "name", ""),
)
def test_the_library_term_by_term(law: TinyLaw, mask: masks.MaskLaw, linear: bool) -> None:
    p = problem(law.size, 3, linear=linear, centred=False)
    x, y = as_tensor(p.x).reshape(-1, *mask.shape), as_tensor(p.y)
    loss = TinyLoss(as_float(p.p), as_float(p.q))
    theory = mean_point_loss(network(p, mask.shape), loss, x, y, Augmentation(Beta(3.0, 1.0), mask))
    truth = mean_point_terms(p, law, RATIO)
    for name in ("standard", "label", "r2", "r3"):
        stated = as_float(getattr(truth, name))
        slack = 1e3 * torch.finfo(torch.float64).eps * max(1.0, abs(stated))
        assert abs(getattr(theory, name) - stated) <= slack, name
