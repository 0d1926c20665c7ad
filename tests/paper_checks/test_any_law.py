"""The searches over all mask laws: batched sides against the library, and what is found where a radius is wrong."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

import msda_theory as mt
from msda_theory.bounds import adversarial_taylor, in_theta, projected_gradient, robust_radii, shared_constants
from msda_theory.losses import Logistic
from paper_checks import attacked_networks, robust_any_law
from paper_checks.attacked_cases import split
from paper_checks.findings import Trial
from paper_checks.park2022.adversarial_informal import printed_linear_sides, printed_network_sides, printed_sides
from paper_checks.park2022.meeting_laws import SIDE, SIZE, given_moments, listed
from paper_checks.seen_laws import SHAPE, augmentations
from paper_checks.zhang2021 import adversarial_remarks
from paper_checks.zhang2021.shared_any_law import AnyLaw
from paper_checks.zhang2021.shared_cosine import AsPrinted, Drawn, Family
from paper_checks.zhang2021.shared_formulas import theorem32, theorem_b1
from tests.helpers import assert_close
from verify.tolerances import rounding
from verify.violations import search

TIGHT = rounding(torch.float64, 100.0, 200)
LAWS = len(augmentations())
ALONE = 1e3  # a logit


def rows(length: int, count: int = 40, seed: int = 0) -> Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def added(model: object, x: Tensor, y: Tensor, augmentation: mt.Augmentation) -> tuple[float, float]:
    """R1 + R2, and the standard loss."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mt.ZeroHessianNotice)
        terms = mt.taylor_loss(model, Logistic(), x, y, augmentation)  # type: ignore[arg-type]
    return terms.r1 + terms.r2, terms.standard


@pytest.mark.parametrize("hidden", [0, 3])
@pytest.mark.parametrize("law", [0, 1, 4, 8, 12, 15, 20], ids=lambda k: repr(augmentations()[k].mask))
def test_the_shared_radius_and_both_sides_are_the_librarys(law: int, hidden: int) -> None:
    family, augmentation = AnyLaw(theorem_b1, hidden), augmentations()[law]
    drawn = rows(family.parameters)
    drawn[:, -LAWS:], drawn[:, law - LAWS] = 0.0, ALONE
    lower, upper = family.sides(drawn)
    usable = torch.isfinite(lower).nonzero().flatten()[:3]
    assert len(usable) == 3
    for k in usable:
        x, theta, place, _ = (v[0] for v in family.split(drawn[k : k + 1]))
        models, images = [family.model(v) for v in theta], x.reshape(-1, *SHAPE)
        eta = [robust_radii(model, images, torch.ones(len(x)), augmentation).eta for model in models]
        y, tau = (eta[0] > 0).double(), _tau(eta, x, augmentation, place)
        found = shared_constants(models, images, y, augmentation, tau)
        radius = found.printed_cosine(min(1.0, 2 * found.share)) * found.smallest_deviation
        sides = []
        for model in models:
            total, standard = added(model, images, y, augmentation)
            each = shared_constants([model], images, y, augmentation, tau)
            own = found.__class__(**{**vars(each), "good": found.good, "tau_1": found.tau_1[models.index(model)][None]})
            length = own.printed_cosine(min(1.0, 2 * found.share)) * found.smallest_deviation
            assert length >= radius
            sides.append((float(adversarial_taylor(model, images, y, length).mean()) - standard, total))
        worse = max(sides, key=lambda pair: pair[0] / pair[1])
        assert_close(lower[k], worse[0], TIGHT, "l~_adv - l")
        assert_close(upper[k], worse[1], TIGHT, "R1 + R2")


def _tau(eta: list[Tensor], x: Tensor, augmentation: mt.Augmentation, place: Tensor) -> float:
    """sigmoid(a) times the least cosine of both networks, at the rank floor(m sigmoid(b)) from above; eta = |z| cos."""
    z = (augmentation.seen().first * (x - x.mean(0))).norm(dim=1)
    cosines = sorted((min(abs(float(e[i] / z[i])) for e in eta) for i in range(len(x))), reverse=True)
    a, b = (1 / (1 + math.exp(-float(v))) for v in place)
    return a * cosines[int(b * len(x))]


@pytest.mark.parametrize(("formula", "hidden"), [(theorem32, 0), (theorem_b1, 3)])
def test_mixup_and_centred_data_are_the_case_of_one_law(formula: object, hidden: int) -> None:
    """z = E_D~[1-lambda] x, and 2y - 1 has the sign of f: the same sides as from these, written out."""
    family = Family(formula, hidden)  # type: ignore[arg-type]
    drawn = rows(family.parameters, 400)
    lower, upper = family.sides(drawn)
    assert bool(torch.isfinite(lower).any())
    for k in torch.isfinite(lower).nonzero().flatten()[:4]:
        x, theta, _, ratio = (v[0] for v in family.split(drawn[k : k + 1]))
        x, lam = x - x.mean(0), float(torch.sigmoid(ratio))
        share, m, gaps = 2 * lam * (1 - lam), len(x), []
        for weights in theta:
            model = family.model(weights)
            y = (family.model(theta[0])(x).flatten() > 0).double()
            assert bool(in_theta(model, x, y).all())
            at = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(model(at).sum(), at)
            total = 0.0
            for i in range(m):
                f = float(model(x[i : i + 1]))
                g = 1 / (1 + math.exp(-f))
                moves = [float(slope[i] @ (x[r] - x[i])) for r in range(m)]
                total += share * abs(g - float(y[i])) * abs(f) + share / 4 * g * (1 - g) * sum(v * v for v in moves) / m
            gaps.append(abs(total / m - float(upper[k])))
        assert min(gaps) <= TIGHT


def test_the_printed_hypotheses_are_those_of_theta() -> None:
    family = AsPrinted(theorem_b1, 3)
    drawn = rows(family.parameters, 400)
    kept = torch.isfinite(family.sides(drawn)[0]).nonzero().flatten()
    assert len(kept) > 0
    x, theta, _, _ = family.split(drawn)
    assert bool((x.mean(1).abs() > 1e-3).all())
    for k in kept:
        y = (family.model(theta[k, 0])(x[k]).flatten() > 0).double()
        assert all(bool(in_theta(family.model(v), x[k], y).all()) for v in theta[k])


class SharesForDeviations(AnyLaw):
    """A wrong radius: E_D~[1-lambda] for every n_j in the z_i."""

    def deviations(self, drawn: Drawn) -> Tensor:
        share = mt.Beta(*robust_any_law.RATIO).tilted().moment(0, 1)
        return share * (drawn.x - drawn.x.mean(1, keepdim=True))


def test_a_radius_without_the_mask_law_is_found_out() -> None:
    family = SharesForDeviations(theorem_b1, hidden=3)
    assert search(family.sides, family.parameters, trials=1000, ascents=16).worst > 0.1


@pytest.mark.parametrize("hidden", [0, 3])
def test_the_module_is_the_network_of_the_batch(hidden: int) -> None:
    shapes = attacked_networks.shapes(hidden, 12, biased=True)
    x, *parts = split(rows(5 * 12 + attacked_networks.count(shapes), 3), (5, 12), *shapes)
    cases = attacked_networks.on_data(x, parts, 0.1)
    for k in range(3):
        at = x[k].reshape(5, *SHAPE).requires_grad_()
        f = attacked_networks.module([part[k] for part in parts], 0.1)(at)
        assert_close(cases.f[k], f.flatten().detach(), TIGHT, "f")
        (slope,) = torch.autograd.grad(f.sum(), at)
        assert_close(cases.slope[k], slope.flatten(1), TIGHT, "gradient")


def test_radii_under_each_law_alone_are_those_of_the_search() -> None:
    """1 - mean l~_adv / L~, from the sides of one law at a time."""
    row = rows(robust_any_law.any_law_row(), 1)[0]
    alone = row.repeat(LAWS, 1)
    alone[:, -LAWS:] = ALONE * torch.eye(LAWS, dtype=torch.float64)
    cases, _, _ = robust_any_law.any_law_cases(alone)
    standard = softplus(-cases.side * cases.f).mean(1)
    lower, upper = robust_any_law.any_law_sides(alone, robust_any_law.HIDDEN, Trial())
    expected = 1 - (standard + lower) / (standard + upper)
    found = torch.tensor(robust_any_law.by_library(row, robust_any_law.HIDDEN), dtype=torch.float64)
    assert_close(found, expected, TIGHT)


def test_the_attack_in_the_maximum_norm_is_the_librarys() -> None:
    """The radius in l2 that reaches as far: eps_mix |theta|_1 / |theta|_2; Mixup at one ratio, data not centred."""
    samples, size = adversarial_remarks.SAMPLES, adversarial_remarks.SIZE
    drawn = rows(samples * size + size + 1, 5)
    lower, upper = adversarial_remarks.linf_sides(drawn, Trial(), centre=False)
    for k, row in enumerate(drawn):
        x, theta = row[: samples * size].reshape(samples, size), row[samples * size : -1]
        ratio = mt.Discrete((float(torch.sigmoid(row[-1])),), (1.0,))
        augmentation = mt.Augmentation(ratio, mt.masks.Mixup((size,)))
        model = attacked_networks.module([theta])
        y = (x @ theta > 0).double()
        radius = robust_radii(model, x, y, augmentation).eps_mix * float(theta.abs().sum() / theta.norm())
        total, standard = added(model, x, y, augmentation)
        assert_close(lower[k], float(adversarial_taylor(model, x, y, radius).mean()) - standard, TIGHT)
        assert_close(upper[k], total, TIGHT)


def test_laws_that_meet_the_assumption_have_the_moments_they_should() -> None:
    """Uniform ratios, D~ of density 2 lambda: E[1-lambda] = 1/3, E[(1-lambda)^2] = E[lambda (1-lambda)] = 1/6."""
    first, second = given_moments()
    assert len(first) == len(listed()) + 1
    assert_close(first, torch.full_like(first, 1 / 3), 1e-12)
    pixels = torch.eye(SIZE, dtype=torch.float64)
    assert_close(second[0], torch.full_like(pixels, 1 / 6), 1e-12, "Mixup")
    assert_close(second[1], (1 + pixels) / 6, 1e-12, "Bernoulli")
    apart = (torch.arange(SIZE).unsqueeze(1) - torch.arange(SIZE)).abs().double()
    assert_close(second[-1], (1 + torch.exp(-apart / 2)) / 6, 1e-12, "Gaussian")
    assert_close(second[2].diagonal(), torch.full((SIZE,), 1 / 3, dtype=torch.float64), 1e-12, "masks of 0 and 1")


def test_the_printed_informal_statement_is_searched_as_the_library_has_it() -> None:
    """Mixup alone: the exact attack on a linear model; on a network, one inside the ball, below projected gradient."""
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((SIDE, SIDE)))
    laws = len(given_moments()[0])
    for sides, length in printed_sides():
        drawn = rows(length, 200)
        drawn[:, -laws:], drawn[:, -laws] = 0.0, ALONE
        lower, upper = sides(drawn)
        kept = torch.isfinite(lower).nonzero().flatten()[:5]
        assert len(kept) == 5
        for k in kept:
            x = drawn[k, : 4 * SIZE].reshape(4, SIDE, SIDE)
            x = x - x.mean(0)
            shapes = attacked_networks.shapes(0 if sides is printed_linear_sides else 3, SIZE)
            parts = [part[0] for part in split(drawn[k : k + 1, 4 * SIZE : -laws], *shapes)]
            model = attacked_networks.module(parts, 0.1)
            y = (model(x).flatten() > 0).double()
            total, standard = added(model, x, y, augmentation)
            radii = robust_radii(model, x, y, augmentation)
            radius = float(x.flatten(1).norm(dim=1).max()) * radii.smallest * radii.share
            assert_close(upper[k], total, TIGHT)
            attacked = float(projected_gradient(model, x, y, radius, seed=0).loss.mean()) - standard
            if sides is printed_network_sides:
                assert bool((y == 1).all()) and lower[k] <= attacked + TIGHT
            else:
                assert_close(lower[k], attacked, TIGHT)
