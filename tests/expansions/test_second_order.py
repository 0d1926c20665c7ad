"""Theorem 1 where it must be exact, term by term against loops, and where the printed form parts from the default."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import ZeroHessianNotice
from msda_theory.augmentation import LABEL_RULES, SeenMoments
from msda_theory.expansions import Terms, printed_moments, taylor_terms
from msda_theory.expansions.second_order import is_affine
from msda_theory.losses import Loss
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from tests.helpers import LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels
from verify.tolerances import difference_quotient, rounding

SHAPE = (3, 4)
LAWS: list[MaskLaw] = [
    Mixup((2,)),
    Mixup(SHAPE),
    Bernoulli((2,)),
    Bernoulli((2, 3)),
    *(CutMix(SHAPE, sampler=sampler) for sampler in SAMPLERS),
    *(HMix(SHAPE, r=0.5, sampler=sampler) for sampler in SAMPLERS),
    *(GMix(SHAPE, kernel=kernel) for kernel in ("printed", "released")),
    Stochastic(SHAPE, q=0.25, sampler="clip"),
]
SYMMETRIC = (Mixup, Bernoulli)
RATIOS = [mt.Beta(0.3, 2.0), mt.Beta(1.0, 1.0)]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)
every_ratio = pytest.mark.parametrize("ratio", RATIOS, ids=repr)
TERMS = ("standard", "r1", "r2", "r3")


@dataclass(frozen=True)
class Problem:
    """Data far from centred, a model and a loss for which the expansion to second order leaves no remainder."""

    model: nn.Module
    loss: Loss
    x: Tensor
    y: Tensor

    def exact(self, augmentation: mt.Augmentation) -> mt.ExactLoss:
        return mt.exact_loss(self.model, self.loss, self.x, self.y, augmentation, rtol=1e-11)

    def taylor(self, augmentation: mt.Augmentation, **options: bool) -> mt.TaylorLoss:
        return mt.taylor_loss(self.model, self.loss, self.x, self.y, augmentation, **options)

    @property
    def scale(self) -> float:
        """Size of the terms of the loss and, as the moments multiply them, of the terms of the expansion."""
        f = self.model(self.x).detach()
        spread = float(self.x.flatten(1).square().sum(1).max()) * 4
        gradient = float(sum(p.detach().abs().max() ** 2 for p in self.model.parameters()))
        return float(self.loss.h(f).abs().max() + f.abs().sum(1).max()) + spread * gradient


def affine_squared(shape: tuple[int, ...], outputs: int) -> Problem:
    loss = mt.losses.Squared()
    return Problem(Quadratic(shape, outputs, curved=False), loss, inputs(3, *shape), labels(loss, 3, outputs))


def quadratic_linear(shape: tuple[int, ...], outputs: int) -> Problem:
    loss = LinearLoss()
    return Problem(Quadratic(shape, outputs), loss, inputs(3, *shape), labels(loss, 3, outputs))


EXACT_CASES: list[Callable[[tuple[int, ...], int], Problem]] = [affine_squared, quadratic_linear]
every_exact_case = pytest.mark.parametrize("make", EXACT_CASES, ids=lambda f: f.__name__)


@cache
def augmented(ratio: mt.RatioLaw, law: MaskLaw, label: str) -> mt.Augmentation:
    """One object for all tests, which keeps its moments."""
    return mt.Augmentation(ratio, law, label)


def allowed(problem: Problem, exact: mt.ExactLoss, moments: SeenMoments) -> float:
    """Rounding of d^2 products, and the quadrature errors that the two sides state."""
    size = problem.x[0].numel()
    spread = float(problem.x.flatten(1).abs().max()) ** 2 * 4
    return exact.error + moments.error * size**2 * spread + rounding(torch.float64, problem.scale, size**2 + 100)


@every_law
@every_ratio
@every_exact_case
@pytest.mark.parametrize("label", LABEL_RULES)
def test_no_remainder_where_there_is_none(
    law: MaskLaw, ratio: mt.RatioLaw, make: Callable[..., Problem], label: str
) -> None:
    problem, augmentation = make(law.shape, 1), augmented(ratio, law, label)
    exact, theory = problem.exact(augmentation), problem.taylor(augmentation)
    assert_close(theory.total, exact.value, allowed(problem, exact, augmentation.seen()), str(theory))


@pytest.mark.parametrize("law", LAWS[-5:], ids=repr)
@every_exact_case
def test_no_remainder_with_channels_and_several_outputs(law: MaskLaw, make: Callable[..., Problem]) -> None:
    problem, augmentation = make((2, *law.shape), 3), augmented(RATIOS[0], law, "nominal")
    exact, theory = problem.exact(augmentation), problem.taylor(augmentation)
    assert_close(theory.total, exact.value, allowed(problem, exact, augmentation.seen()), str(theory))


@every_law
def test_every_term_is_needed(law: MaskLaw) -> None:
    """A sign, or a factor 1/2, in any one term moves the total by far more than the tests above allow."""
    augmentation, seen = augmented(RATIOS[0], law, "nominal"), set()
    for make in EXACT_CASES:
        problem = make(law.shape, 1)
        exact, theory = problem.exact(augmentation), problem.taylor(augmentation)
        tolerance = allowed(problem, exact, augmentation.seen())
        for name in TERMS:
            value = getattr(theory, name)
            halved, flipped = theory.total - value / 2, theory.total - 2 * value
            if min(abs(halved - exact.value), abs(flipped - exact.value)) > 1e3 * tolerance:
                seen.add(name)
    assert seen == set(TERMS)


@pytest.mark.parametrize("law", [Mixup((2,)), Bernoulli((2,)), CutMix((2, 2), sampler="inside")], ids=repr)
@pytest.mark.parametrize("fault", ["lambda", "square", "diagonal", "mean"])
def test_wrong_moments_are_noticed(law: MaskLaw, fault: str) -> None:
    """lambda for 1-lambda, a dropped square, a dropped off-diagonal, the mean of the data taken as zero."""
    augmentation = augmented(RATIOS[0], law, "nominal")
    problem, seen = affine_squared(law.shape, 1), augmentation.seen()
    wrong = {
        "lambda": SeenMoments(1 - seen.first, seen.second, seen.error),
        "square": SeenMoments(seen.first, seen.second.sqrt(), seen.error),
        "diagonal": SeenMoments(seen.first, torch.diag(seen.second.diagonal()), seen.error),
        "mean": seen,
    }[fault]
    exact = problem.exact(augmentation)
    terms = taylor_terms(problem.model, problem.loss, problem.x, problem.y, wrong, centred=fault == "mean")
    assert abs(float(terms.total.detach()) - exact.value) > 1e3 * allowed(problem, exact, seen)


# -- term by term


def naive_terms(problem: Problem, moments: SeenMoments, mean: Tensor) -> list[float]:
    """The four sums with loops over samples, pixels and outputs; derivatives by differences."""
    m, first, second = len(problem.x), moments.first.tolist(), moments.second.tolist()
    flat, centre = problem.x.flatten(1).numpy(), mean.numpy()
    f = problem.model(problem.x).detach().numpy()
    residual = problem.loss.h1(torch.from_numpy(f)).numpy() - problem.y.numpy()
    curvature = problem.loss.h2(torch.from_numpy(f)).numpy()
    d, outputs = flat.shape[1], f.shape[1]
    spread = sum(np.outer(r - centre, r - centre) for r in flat) / m
    totals = [float(problem.loss(torch.from_numpy(f), problem.y).mean()), 0.0, 0.0, 0.0]
    for i in range(m):
        slopes, hessians = differences(problem.model, problem.x[i : i + 1])
        for j in range(d):
            for k in range(outputs):
                totals[1] += residual[i, k] * slopes[k, j] * first[j] * (centre[j] - flat[i, j]) / m
            for e in range(d):
                moved = second[j][e] * (spread[j, e] + (flat[i, j] - centre[j]) * (flat[i, e] - centre[e]))
                for k in range(outputs):
                    totals[3] += moved * residual[i, k] * hessians[k, j, e] / (2 * m)
                    for q in range(outputs):
                        totals[2] += moved * curvature[i, k, q] * slopes[k, j] * slopes[q, e] / (2 * m)
    return totals


STEP = 1e-3


def differences(model: nn.Module, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Slopes and Hessian of each output at x (1, ...), by central differences with one Richardson step: O(step^4)."""
    d = x.numel()
    basis = torch.eye(d, dtype=x.dtype).reshape(d, *x.shape[1:])

    def f(*directions: Tensor) -> np.ndarray:
        return model(x + sum(directions)).detach().numpy()[0]

    def slope(e: Tensor, h: float) -> np.ndarray:
        return (f(h * e) - f(-h * e)) / (2 * h)

    def curve(e: Tensor, g: Tensor, h: float) -> np.ndarray:
        return (f(h * e, h * g) - f(h * e, -h * g) - f(-h * e, h * g) + f(-h * e, -h * g)) / (4 * h * h)

    slopes = np.stack([(4 * slope(e, STEP) - slope(e, 2 * STEP)) / 3 for e in basis], -1)
    rows = [[(4 * curve(e, g, STEP) - curve(e, g, 2 * STEP)) / 3 for g in basis] for e in basis]
    return slopes, np.moveaxis(np.array(rows), -1, 0)


@pytest.mark.parametrize("loss", [mt.losses.Logistic(), mt.losses.SoftmaxCrossEntropy(), mt.losses.Poisson()], ids=repr)
@pytest.mark.parametrize("as_printed", [False, True])
def test_each_term_against_loops_and_differences(loss: Loss, as_printed: bool) -> None:
    """eps/step^2 = 2e-10 of rounding in each Hessian entry, twice that for Richardson; truncation step^4 = 1e-12."""
    law = CutMix((2, 2), sampler="torus")
    problem = Problem(TanhNetwork((2, 2), 2, seed=1), loss, inputs(3, 2, 2), labels(loss, 3, 2))
    augmentation = augmented(RATIOS[0], law, "nominal")
    moments = printed_moments(augmentation) if as_printed else augmentation.seen()
    mean = torch.zeros(4, dtype=torch.float64) if as_printed else problem.x.flatten(1).mean(0)
    theory = problem.taylor(augmentation, as_printed=as_printed)
    found = [getattr(theory, name) for name in TERMS]
    assert min(map(abs, found)) > 1e-3, "a term that is zero tests nothing"
    assert_close(found, naive_terms(problem, moments, mean), 2e-8 * problem.scale, "terms")


# -- as printed


def centred_problem(shape: tuple[int, ...]) -> Problem:
    loss = mt.losses.Logistic()
    x = inputs(4, *shape)
    return Problem(TanhNetwork(shape), loss, x - x.mean(0), labels(loss, 4, 1))


@pytest.mark.parametrize("law", [*LAWS[:4], GMix(SHAPE, kernel="released")], ids=repr)
@every_ratio
def test_as_printed_is_the_default_for_symmetric_laws_and_centred_data(law: MaskLaw, ratio: mt.RatioLaw) -> None:
    problem, augmentation = centred_problem(law.shape), augmented(ratio, law, "nominal")
    printed, default = problem.taylor(augmentation, as_printed=True), problem.taylor(augmentation)
    assert (printed.form, default.form) == ("printed", "default")
    tolerance = 1e-11 if isinstance(law, GMix) else rounding(torch.float64, problem.scale, 200)
    for name in TERMS[:1] + TERMS[2:]:
        assert_close(getattr(printed, name), getattr(default, name), tolerance, name)
    # E_D~[1-lambda] is the mean share of the partner where E[M] = lambda, which GMix has not
    assert (abs(printed.r1 - default.r1) <= tolerance) == isinstance(law, SYMMETRIC)


@pytest.mark.parametrize("law", LAWS[:4], ids=repr)
def test_as_printed_differs_for_uncentred_data(law: MaskLaw) -> None:
    problem, augmentation = affine_squared(law.shape, 1), augmented(RATIOS[0], law, "nominal")
    printed, exact = problem.taylor(augmentation, as_printed=True), problem.exact(augmentation)
    assert abs(printed.total - exact.value) > 0.01 * abs(exact.value - printed.standard)


@pytest.mark.parametrize("law", [CutMix(SHAPE, sampler=s) for s in SAMPLERS], ids=repr)
def test_as_printed_differs_for_boxes_even_if_centred(law: MaskLaw) -> None:
    problem, augmentation = centred_problem(law.shape), augmented(RATIOS[0], law, "nominal")
    printed, default = problem.taylor(augmentation, as_printed=True), problem.taylor(augmentation)
    assert abs(printed.r2 - default.r2) > 1e-4 * abs(default.r2)


def test_printed_moments_of_mixup_in_closed_form() -> None:
    """E_D~(1-l) = 2ab/((a+b)(a+b+1)) and E_D~(1-l)^2 is half of it."""
    moments = printed_moments(augmented(RATIOS[0], Mixup((2,)), "nominal"))
    first = 2 * 0.3 * 2 / (2.3 * 3.3)
    assert_close(moments.first, [first] * 2, rounding(torch.float64, 1.0, 50))
    assert_close(moments.second, [[first / 2] * 2] * 2, rounding(torch.float64, 1.0, 50))


def test_the_paper_has_no_realised_labels() -> None:
    problem = affine_squared((3, 4), 1)
    with pytest.raises(ValueError, match=r"label='realised' with as_printed=True.*label='nominal'"):
        problem.taylor(augmented(RATIOS[0], LAWS[4], "realised"), as_printed=True)


# -- notices and gradients


def taylor_of(model: nn.Module) -> mt.TaylorLoss:
    x, loss = inputs(5, 2), mt.losses.Logistic()
    return mt.taylor_loss(model, loss, x, labels(loss, 5, 1), augmented(RATIOS[1], Mixup((2,)), "nominal"))


def network(*activations: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    layers = [layer for activation in activations for layer in (nn.Linear(2, 2), activation)]
    model = nn.Sequential(*layers, nn.Linear(2, 1)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(), nn.Hardtanh()], ids=repr)
def test_a_piecewise_linear_network_gets_a_notice(activation: nn.Module) -> None:
    with pytest.warns(ZeroHessianNotice, match="Hessian is zero at every sample.*R3 is 0") as caught:
        theory = taylor_of(network(activation, activation))
    assert theory.r3 == 0
    assert caught[0].filename == __file__, "the notice points at the caller"


@pytest.mark.parametrize("activation", [nn.Identity(), nn.Tanh(), nn.GELU(), nn.Softplus()], ids=repr)
def test_other_networks_get_none(activation: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZeroHessianNotice)
        taylor_of(network(activation))


def test_terms_of_given_moments_are_those_of_the_loss() -> None:
    """Also where the mean of the data is not zero, unless the terms are asked for as if it were."""
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, augmentation = labels(loss, 3, 1), augmented(RATIOS[0], Bernoulli((2,)), "nominal")
    terms, whole = taylor_terms(model, loss, x, y, augmentation.seen()), mt.taylor_loss(model, loss, x, y, augmentation)
    for name in ("standard", "r1", "r2", "r3", "total"):
        assert float(getattr(terms, name)) == pytest.approx(getattr(whole, name), rel=1e-12), name


@pytest.mark.parametrize("name", ["r1", "r2", "r3", "total"])
def test_terms_are_differentiable_in_the_parameters(name: str) -> None:
    """Against differences at two steps, in a weight of each layer."""
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, moments = labels(loss, 3, 1), augmented(RATIOS[0], Bernoulli((2,)), "nominal").seen()

    def term() -> Tensor:
        terms: Terms = taylor_terms(model, loss, x, y, moments)
        return getattr(terms, name)

    gradients = torch.autograd.grad(term(), [model.inner, model.outer])
    for parameter, gradient in zip([model.inner, model.outer], gradients, strict=True):
        fine, coarse = (difference(term, parameter, step) for step in (1e-4, 2e-4))
        tolerance = difference_quotient(fine, coarse, 1e-4, 20.0)
        assert_close(gradient[0, 1], fine, tolerance, name)
        assert abs(float(gradient[0, 1])) > 1e3 * tolerance


def difference(term: Callable[[], Tensor], parameter: nn.Parameter, step: float) -> float:
    values = []
    for shift in (step, -2 * step):
        parameter.data[0, 1] += shift
        values.append(float(term().detach()))
    parameter.data[0, 1] += step
    return (values[0] - values[1]) / (2 * step)


def test_float32_agrees_with_float64() -> None:
    problem, augmentation = centred_problem((3, 4)), augmented(RATIOS[0], LAWS[4], "nominal")
    double, scale = problem.taylor(augmentation), problem.scale
    single = mt.taylor_loss(problem.model.float(), problem.loss, problem.x.float(), problem.y.float(), augmentation)
    for name in TERMS:
        assert_close(getattr(single, name), getattr(double, name), rounding(torch.float32, scale, 40), name)


def test_arguments_are_not_changed() -> None:
    x, loss = inputs(3, 2) - 1, mt.losses.Logistic()
    y, model = labels(loss, 3, 1), nn.Sequential(nn.ReLU(inplace=True), TanhNetwork((2,)))
    before = [t.clone() for t in (x, y, *model.parameters())]
    mt.taylor_loss(model, loss, x, y, augmented(RATIOS[0], Mixup((2,)), "nominal"))
    assert all(torch.equal(old, now) for old, now in zip(before, (x, y, *model.parameters()), strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


def test_str_gives_the_total_and_the_form() -> None:
    theory = mt.TaylorLoss(1.0, 0.25, -0.5, 0.125, "default")
    assert str(theory) == "0.875 (standard 1, r1 0.25, r2 -0.5, r3 0.125; default form)"
    drawn = mt.TaylorLoss(1.0, 0.25, -0.5, 0.125, "default", 0.01)
    assert str(drawn) == "0.875 +- 0.01 (standard 1, r1 0.25, r2 -0.5, r3 0.125; default form)"


@pytest.mark.parametrize(("as_printed", "form"), [(False, "default"), (True, "printed")])
def test_the_form_is_named(as_printed: bool, form: str) -> None:
    x, loss, augmentation = inputs(3, 2), mt.losses.Logistic(), augmented(RATIOS[0], Bernoulli((2,)), "nominal")
    found = mt.taylor_loss(TanhNetwork((2,)), loss, x, labels(loss, 3, 1), augmentation, as_printed=as_printed)
    assert found.form == form and found.error == 0


def test_drawn_terms_are_those_of_their_seed() -> None:
    """And carry the standard error of the terms, which enumerated ones have not."""
    x, loss, augmentation = inputs(3, 2), mt.losses.Logistic(), augmented(RATIOS[0], Bernoulli((2,)), "nominal")
    model, y = TanhNetwork((2,)), labels(loss, 3, 1)
    first, again, other = (
        mt.taylor_loss(model, loss, x, y, augmentation, directions=32, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again and first.total != other.total
    assert first.error > 0


def test_affine_is_affine_in_every_output() -> None:
    """To rounding, also of a large one; and a network that bends is told from it."""
    x = inputs(5, 2)
    for scale in (1.0, 1e6):
        assert is_affine(lambda z, scale=scale: scale * nn.functional.linear(z, x[:3]), x)
    assert not is_affine(TanhNetwork((2,), 3), x)
