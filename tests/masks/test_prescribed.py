"""Gaussian masks of Theorem 2: every way to the root, which second moments are admissible, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from linear_operator.operators import (
    DiagLinearOperator,
    KroneckerProductLinearOperator,
    LinearOperator,
    RootLinearOperator,
    SumLinearOperator,
    to_linear_operator,
)
from torch import Tensor

from msda_theory import Augmentation, Discrete, exact_loss
from msda_theory.losses import Squared
from msda_theory.masks import Bernoulli, CutMix, Gaussian, GMix, HMix, MaskLaw, Mixup, Stochastic, interval_cover
from msda_theory.masks._moments import StationaryMoment
from msda_theory.masks._roots import IndefiniteError, covariance_root
from msda_theory.masks._structure import parts_of
from tests.helpers import assert_close
from tests.masks.test_conformance import assert_gaussian
from verify.tolerances import monte_carlo, rounding


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def covariance(root: Tensor) -> Tensor:
    return root @ root.T


def product_of(*axes: Tensor) -> KroneckerProductLinearOperator:
    return KroneckerProductLinearOperator(*map(to_linear_operator, axes))


ONES = torch.ones(20, 1, dtype=torch.float64)
AXES = covariance(normal(4, 4)), covariance(normal(5, 5, seed=1))
THIN = covariance(normal(4, 2)), covariance(normal(5, 2, seed=1))
LOW = normal(20, 2, seed=2)

#: an operator A, and c of A - c^2 1 1^T; the last two fill the product's null space from the low rank
ADMISSIBLE: dict[str, tuple[LinearOperator, float]] = {
    "product": (product_of(*AXES), 0.03),
    "scaled product": (product_of(*AXES) * 3.0, 0.05),
    "product and the constant itself": (SumLinearOperator(product_of(*AXES), RootLinearOperator(0.6 * ONES)), 0.6),
    "product, constant, low rank": (
        SumLinearOperator(product_of(*AXES) * 0.5, RootLinearOperator(0.6 * ONES), RootLinearOperator(LOW)),
        0.6,
    ),
    "singular product": (SumLinearOperator(product_of(*THIN), RootLinearOperator(0.6 * ONES)), 0.6),
    "singular product, more low rank": (SumLinearOperator(product_of(*THIN), RootLinearOperator(LOW)), 0.0),
    "singular product, more constant": (SumLinearOperator(product_of(*THIN), RootLinearOperator(ONES)), 0.6),
    "no structure": (to_linear_operator(covariance(normal(20, 20, seed=3)) + 0.25), 0.5),
    "diagonal": (SumLinearOperator(DiagLinearOperator(ONES[:, 0]), RootLinearOperator(0.3 * ONES)), 0.3),
}
LAWS: list[tuple[MaskLaw, float]] = [
    (Mixup((3, 4)), 0.3),
    (Bernoulli((3, 4)), 0.3),
    (CutMix((4, 4), sampler="torus"), 1 - 9 / 16),
    (CutMix((4, 6), sampler="torus"), 0.75),
    (HMix((4, 4), r=0.5, sampler="torus"), 0.5),
    (Stochastic((4, 4), q=0.5, sampler="torus"), 0.75),
    (GMix((6, 5), kernel="printed"), 0.95),
]
by_name = pytest.mark.parametrize("name", ADMISSIBLE)


def assert_root(moment: LinearOperator, share: float) -> None:
    """F F^T against A - c^2, from the dense matrix; eigenvalues of rounding's size may be dropped."""
    size = moment.shape[-1]
    factor = covariance_root(moment, share)(torch.eye(size, dtype=torch.float64))
    expected = moment.to_dense() - share**2
    scale = float(torch.linalg.matrix_norm(moment.to_dense(), 2)) + share**2 * size
    assert_close(factor.T @ factor, expected, rounding(torch.float64, scale, 16 * size), "F F^T")


@by_name
def test_roots_of_operators(name: str) -> None:
    assert_root(*ADMISSIBLE[name])


@pytest.mark.parametrize(("law", "ratio"), LAWS, ids=str)
def test_roots_of_the_laws_own_moments(law: MaskLaw, ratio: float) -> None:
    moment = law.second_moment(ratio)
    assert parts_of(moment) is not None, "no structure is seen"
    assert_root(moment, 1 - ratio)


def test_roots_of_stationary_moments() -> None:
    for shape in ((4, 6), (3, 5), (1, 7)):
        image = normal(*shape)
        kernel = torch.fft.irfft2(torch.fft.rfft2(image).abs() ** 2, s=shape) / image.numel()
        assert_root(StationaryMoment(kernel + 0.16), 0.4)


def test_the_same_noise_in_a_rank_one_downdate_is_the_formula() -> None:
    """S^{1/2} (1 - gamma w w^T), gamma = (1 - sqrt(1 - c^2 |w|^2)) / |w|^2, w = S^{-1/2} U^T 1."""
    moment, share, noise = product_of(*AXES), 0.03, normal(3, 20, seed=5)
    (first, u), (second, v) = (torch.linalg.eigh(axis) for axis in AXES)
    scale, basis = torch.outer(first, second).reshape(-1).sqrt(), torch.kron(u, v)
    w = basis.T @ ONES[:, 0] / scale
    length = float(w @ w)
    assert share**2 * length < 1, "not admissible"
    gamma = (1 - (1 - share**2 * length) ** 0.5) / length
    expected = (scale * (noise - gamma * (noise @ w).unsqueeze(-1) * w)) @ basis.T
    # 1/S^{1/2} loses the digits of the condition number, about 1e4 here
    assert_close(covariance_root(moment, share)(noise), expected, 1e-9, "F z")


def smallest(law: MaskLaw, ratio: float) -> float:
    """Of A - (1-lambda)^2 1 1^T, by numpy."""
    return float(np.linalg.eigvalsh(law.second_moment(ratio).to_dense().numpy() - (1 - ratio) ** 2)[0])


INADMISSIBLE = [
    *((CutMix((4, 4), sampler=s), r) for s in ("printed", "inside", "clip") for r in (0.75, 0.4375, 0.3)),
    *((CutMix((4, 4), sampler="torus"), r) for r in (0.5, 0.3)),
    (Stochastic((4, 4), q=0.5, sampler="torus"), 0.5),
    (HMix((4, 4), r=0.5, sampler="inside"), 0.5),
    *((GMix((6, 5), kernel="printed"), r) for r in (0.1, 0.5, 0.8)),
    *((GMix((6, 5), kernel="released"), r) for r in (0.3, 0.8)),
]


@pytest.mark.parametrize(("law", "ratio"), INADMISSIBLE, ids=str)
def test_an_inadmissible_moment_is_refused_with_its_eigenvalue(law: MaskLaw, ratio: float) -> None:
    """CutMix's own is admissible on the torus alone, and there only where lambda is 1 less the box's area."""
    given = Gaussian(law.shape, law.second_moment)
    with pytest.raises(IndefiniteError) as found:
        covariance_root(law.second_moment(ratio), 1 - ratio)
    assert found.value.eigenvalue == pytest.approx(smallest(law, ratio), rel=1e-6)
    for use in (given.second_moment, lambda r: given.sample(torch.tensor([r], dtype=torch.float64))):
        with pytest.raises(ValueError, match=rf"second_moment\({ratio}\).*eigenvalue -.*nonnegative definite"):
            use(ratio)


@pytest.mark.parametrize("law", [GMix((5, 4), kernel="printed"), Bernoulli((2, 3))], ids=str)
def test_admissible_is_where_no_constant_is_too_large(law: MaskLaw) -> None:
    """For A > 0: K >= 0 if and only if c^2 1^T A^{-1} 1 <= 1; tried to either side of that c."""
    moment = law.second_moment(0.9)
    ones = np.ones(law.size)
    limit = float(ones @ np.linalg.solve(moment.to_dense().numpy(), ones)) ** -0.5
    covariance_root(moment, limit * (1 - 1e-6))
    with pytest.raises(IndefiniteError):
        covariance_root(moment, limit * (1 + 1e-6))


def test_draws_of_64_by_64_have_their_covariance() -> None:
    """Along smooth and rough directions, by chi-squares; the box of CutMix on the torus as a Kronecker product."""
    cover = interval_cover(64, 32, "torus")
    moment = product_of(cover.T @ cover / 64, cover.T @ cover / 64)
    drawn = Gaussian((64, 64), lambda ratio: moment).sample(torch.full((2000,), 0.75, dtype=torch.float64), seed=4)
    along = torch.stack([normal(4096, seed=7), torch.eye(4096, dtype=torch.float64)[130], normal(4096).cumsum(0) / 64])
    centred = moment @ along.T - along.sum(-1) / 16
    assert_gaussian((drawn.flatten(1) - 0.75) @ along.T, along @ centred)


def test_draws_without_a_matrix_of_pixels() -> None:
    """65536 pixels: the matrix alone would be 32 GiB."""
    law = Gaussian((256, 256), CutMix((256, 256), sampler="torus").second_moment)
    drawn = law.sample(torch.full((3,), 0.75, dtype=torch.float64), seed=0)
    assert drawn.shape == (3, 256, 256)
    assert drawn.std() > 0.1


def test_a_product_of_axes_is_drawn_at_any_size() -> None:
    """65 x 64, above the largest matrix of pixels: the root is taken axis by axis."""
    moment = product_of(covariance(normal(65, 65)) / 65, covariance(normal(64, 64, seed=1)) / 64)
    drawn = Gaussian((65, 64), lambda ratio: moment).sample(torch.ones(2, dtype=torch.float64), seed=0)
    assert drawn.shape == (2, 65, 64) and 0.5 < drawn.std() < 2


def test_nothing_is_mixed_where_the_moment_is_zero() -> None:
    """A = 0 at lambda = 1: the mask is 1 throughout."""
    law = Gaussian((3,), lambda ratio: torch.zeros(3, 3, dtype=torch.float64))
    assert_close(law.sample(torch.ones(2, dtype=torch.float64), seed=0), torch.ones(2, 3), 1e-6)


def test_no_structure_and_too_many_pixels_is_refused() -> None:
    huge = DiagLinearOperator(torch.ones(4097, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"d = 4097 pixels and no structure.*needed is.*d <= 4096"):
        Gaussian((4097,), lambda ratio: huge).second_moment(1.0)


SKEW = torch.eye(4, dtype=torch.float64) + torch.tensor([[0.0, 1e-3, 0, 0]] + [[0.0] * 4] * 3, dtype=torch.float64)
BAD: list[tuple[Callable[[float], object], type[Exception], str]] = [
    (lambda r: [[1.0]], TypeError, r"second_moment\(0.5\) is a list: needed is a symmetric \(4, 4\)"),
    (lambda r: torch.eye(3).double(), ValueError, r"shape \(3, 3\).*needed is a symmetric \(4, 4\)"),
    (lambda r: torch.eye(4, dtype=torch.int64), ValueError, r"torch.int64: needed"),
    (lambda r: SKEW, ValueError, r"is not symmetric.*needed is a symmetric"),
    (lambda r: product_of(SKEW[:2, :2], torch.eye(2).double()), ValueError, "is not symmetric"),
    (lambda r: torch.eye(4).double() * float("nan"), ValueError, "is not finite"),
    (lambda r: torch.eye(4).double() / 0, ValueError, "is not finite"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_bad_moments_are_refused(given: Callable[[float], Tensor], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Gaussian((2, 2), given).second_moment(0.5)


def test_a_moment_that_is_no_function_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match=r"second_moment is a Tensor: needed is a function.*\(4, 4\)"):
        Gaussian((2, 2), torch.eye(4))  # type: ignore[arg-type]


def test_the_law_names_its_moment() -> None:
    """By the function's name, or as it shows itself where it has none."""
    given = partial(torch.add, AXES[0])
    assert repr(Gaussian((4,), covariance)) == "Gaussian((4,), covariance)"
    assert repr(Gaussian((4,), given)) == f"Gaussian((4,), {given!r})"


def test_the_moment_is_neither_changed_nor_asked_for_twice() -> None:
    given, calls = AXES[0].clone() + 0.25, []

    def second_moment(ratio: float) -> Tensor:
        calls.append(ratio)
        return given

    law = Gaussian((4,), second_moment)
    law.sample(torch.tensor([0.5, 0.5, 0.5]), seed=0)
    assert torch.equal(law.second_moment(0.5).to_dense(), given)
    assert calls == [0.5]
    assert torch.equal(given, AXES[0] + 0.25)


def test_a_float32_moment_is_judged_by_its_own_rounding() -> None:
    thin = normal(6, 2).float()
    law = Gaussian((6,), lambda ratio: thin @ thin.T + (1 - ratio) ** 2)
    assert law.sample(torch.full((2,), 0.3), seed=0).dtype == torch.float32


def test_the_exact_loss_takes_it_by_monte_carlo() -> None:
    """Linear f, squared loss: the loss is E over masks of a quadratic, which the two moments fix."""
    law = Gaussian((3,), lambda ratio: (1 - ratio) ** 2 + 0.2 * AXES[0][:3, :3] / AXES[0].diagonal().max())
    x, y, w = normal(5, 3), normal(5, seed=1), normal(3, seed=2)
    augmentation = Augmentation(Discrete((0.25, 0.75), (0.4, 0.6)), law)
    seen = augmentation.seen()
    found = exact_loss(lambda z: z @ w, Squared(), x, y, augmentation, method="monte-carlo", samples=40_000, seed=3)
    shift = x.unsqueeze(0) - x.unsqueeze(1)  # r - x_i at [i, r]
    residual = (x @ w - y).unsqueeze(-1)
    expected = (residual * ((w * shift) @ seen.first)).mean() + torch.einsum(
        "irj,jk,irk->", w * shift, seen.second, w * shift
    ) / (2 * 25)
    standard = ((x @ w) ** 2 / 2 - y * (x @ w)).mean()
    assert abs(found.value - float(standard + expected)) <= monte_carlo(found.error)
