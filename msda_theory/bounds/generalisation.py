"""Bounds on expected Rademacher complexity, as printed and as derived, and the generalisation bound made of them.

Each bounds E_S Rad(W, S), the mean over samples of size n.  The papers print them for Rad(W, S) of a given sample,
where they fail: sum_i x_i^T A^+ x_i is n tr(A^+ Sigma) in the mean alone.  For a given sample take `sample_bound`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from msda_theory._validation import require_at_least, require_finite_positive
from msda_theory.augmentation import Augmentation
from msda_theory.bounds.ellipsoids import Ellipsoid
from msda_theory.bounds.retentive import retentive_level
from msda_theory.losses import Loss


def sample_bound(ellipsoid: Ellipsoid, features: Tensor) -> float:
    """Rad(W, S) <= (1/n) sqrt(gamma sum_i x_i^T A^+ x_i) for the sample x (n, p) itself, by Jensen; inf where x
    leaves the range.  By Khintchine's inequality it is at most sqrt(2) too large.
    """
    return float(ellipsoid.support(features).square().sum().sqrt()) / len(features)


def mean_bound(ellipsoid: Ellipsoid, second_moment: Tensor, n: int) -> float:
    """E_S Rad(W, S) <= sqrt(gamma tr(A^+ C) / n), C = E[x x^T] (p, p); inf where x leaves the range of A."""
    require_at_least("n", n, 1, "the size of a sample")
    return math.sqrt(ellipsoid.expected_square(second_moment) / n)


def glm_bound(gamma: float, rho: float, rank: int, n: int, *, as_printed: bool = False) -> float:
    """sqrt(max{c, c^(2/3)} rank / n), c = gamma / sqrt(rho); printed max{(gamma/rho)^(1/4), (gamma/rho)^(1/2)} for the
    root of the first factor.  W = {theta : E A''(theta.x) theta^T Sigma theta <= gamma}.  (Zhang et al., Theorem 3.4.)
    """
    require_at_least("rank", rank, 0, "the rank of Sigma")
    require_at_least("n", n, 1, "the size of a sample")
    return math.sqrt(retentive_level(gamma, rho, as_printed=as_printed) * rank / n)


def ridge_bound(gamma: float, second_moment: Tensor, n: int) -> float:
    """sqrt(gamma tr(Sigma) / n) for W = {theta : ||theta||^2 <= gamma}.  Zhang et al., Remark 3.2, print `glm_bound`
    with p for the rank, which does not grow with the scale of the data."""
    require_finite_positive("gamma", gamma)
    require_at_least("n", n, 1, "the size of a sample")
    return math.sqrt(gamma * float(second_moment.trace()) / n)


def masked_glm_bound(
    gamma: float, rho: float, second_moment: Tensor, masked: Tensor, n: int, *, as_printed: bool = False
) -> float:
    """sqrt(c (tr(Sigma_M^+ Sigma) + rank Sigma) / n) with c = (gamma^2 / rho)^(1/3), printed with sqrt(gamma / rho).

    W = {theta : E A''(theta.x) theta^T Sigma_M theta <= gamma}, (E A''(v.x))^2 >= rho v^T Sigma v for all v of W: then
    (theta^T Sigma theta) (theta^T Sigma_M theta)^2 <= gamma^2 / rho, so one of the two forms is at most c, and the
    square of the larger of two supports is at most the sum of their squares.  inf where x leaves the range of Sigma_M.
    Printed: pseudo-inverses, whatever the ranges.
    (Park et al., Theorem 4(a); `masked` is Sigma_M of `masked_covariance`, `second_moment` Sigma, both (p, p).)
    """
    require_finite_positive("gamma", gamma)
    require_finite_positive("rho", rho)
    require_at_least("n", n, 1, "the size of a sample")
    level = math.sqrt(gamma / rho) if as_printed else (gamma**2 / rho) ** (1 / 3)
    ellipsoids = [Ellipsoid(matrix, level) for matrix in (masked, second_moment)]
    _require_square("second_moment", second_moment, ellipsoids[0].dimension)
    if as_printed:
        return math.sqrt(level * sum(_trace(e, second_moment) for e in ellipsoids) / n)
    return math.sqrt(sum(e.expected_square(second_moment) for e in ellipsoids) / n)


def network_bound(
    gamma: float, covariance: Tensor, mean: Tensor, n: int, *, intercept: float = 0.0, as_printed: bool = False
) -> float:
    """sqrt(gamma (rank C + ||C^(+/2) mu||^2) / n) + intercept / sqrt(n), printed with a factor 2 and no intercept.

    W = {theta_1 . phi(x) + theta_0 : theta_1^T C theta_1 <= gamma, |theta_0| <= intercept} for one map phi with
    covariance C (p, p) and mean mu (p,): phi must not depend on the sample.  ValueError where mu leaves the range of C,
    as for a constant feature: theta_1 . mu is then free.  Bound it with theta_0 instead, for features about their mean:
    mean = 0 and intercept = the largest |theta_0 + theta_1 . mu|.  (Zhang et al., Theorem A.1.)
    """
    return masked_network_bound(gamma, covariance, covariance, mean, n, intercept=intercept, as_printed=as_printed)


def masked_network_bound(
    gamma: float,
    masked: Tensor,
    covariance: Tensor,
    mean: Tensor,
    n: int,
    *,
    intercept: float = 0.0,
    as_printed: bool = False,
) -> float:
    """sqrt(gamma (tr(C_M^+ C) + ||C_M^(+/2) mu||^2) / n) + intercept / sqrt(n), C_M = `masked`.

    Printed: 2 sqrt(gamma (rank C_M + ||C_M^(+/2) mu||^2) / n), without the intercept.  The class of `network_bound`
    with theta_1^T C_M theta_1 <= gamma; inf where phi - mu leaves the range of C_M.  Printed: pseudo-inverses, whatever
    the ranges.  (Park et al., Theorem 4(b), C_M of `masked_covariance`.)
    """
    require_at_least("n", n, 1, "the size of a sample")
    ellipsoid = Ellipsoid(masked, gamma)
    _require_square("covariance", covariance, ellipsoid.dimension)
    along_mean = float(ellipsoid.support(mean))
    if as_printed:
        return 2 * math.sqrt(gamma * (ellipsoid.rank + _trace(ellipsoid, torch.outer(mean, mean))) / n)
    if intercept < 0 or not math.isfinite(intercept):
        raise ValueError(
            f"intercept={intercept!r}: needed is a finite number >= 0, the largest |theta_0|; without one the "
            f"complexity is inf"
        )
    if math.isinf(along_mean):
        raise ValueError(
            "mean leaves the range of the class's matrix, along whose kernel theta_1 . mean is free: needed is a mean "
            "in the range, or mean = 0 and intercept = the largest |theta_0 + theta_1 . mean|"
        )
    return mean_bound(ellipsoid, covariance + torch.outer(mean, mean), n) + intercept / math.sqrt(n)


def masked_covariance(augmentation: Augmentation, covariance: Tensor, *, as_printed: bool = False) -> Tensor:
    """E[N_j N_k] C_jk, (p, p): the covariance C of features that a mask on p pixels mixes, as the regulariser has it.

    N is a sample's share of its partner over both roles (`Augmentation.seen`); printed is N = 1-M under D~.  The two
    agree for Mixup and for independent Bernoulli masks, not for boxes.
    (Park et al., App. D: Sigma^(M) = E (1-M) Sigma (1-M)^T, the mask read as a diagonal matrix.)
    """
    _require_square("covariance", covariance, augmentation.mask.size)
    if as_printed:
        moment = Augmentation(augmentation.ratio.tilted(), augmentation.mask).second_moment().to_dense()
    else:
        moment = augmentation.seen().second
    return moment.to(covariance) * covariance


def _require_square(name: str, matrix: Tensor, p: int) -> None:
    if matrix.shape != (p, p):
        raise ValueError(f"{name} has shape {tuple(matrix.shape)}: needed is ({p}, {p})")


def _trace(ellipsoid: Ellipsoid, second_moment: Tensor) -> float:
    """tr(A^+ C)."""
    factor = ellipsoid.factor
    return float((factor.mT @ second_moment.to(factor) @ factor).trace())


def contraction_constant(loss: Loss, largest_output: float, labels: Sequence[float]) -> float:
    """sup |h'(t) - y| over |t| <= largest_output and the labels: the Lipschitz constant of t -> h(t) - y t.

    h' grows, so the supremum is at an end.  It is the L L_A of Zhang et al., Corollary 3.1, which is at most
    L_A + max |y|; for the logistic loss and labels 0 and 1 it is below 1.
    """
    require_finite_positive("largest_output", largest_output)
    ends = torch.tensor([[-largest_output], [largest_output]], dtype=torch.float64)
    return max(float((loss.h1(ends) - y).abs().max()) for y in labels)


def generalisation_gap(complexity: float, lipschitz: float, largest_output: float, n: int, delta: float) -> float:
    """2 K R + B sqrt(log(1/delta) / (2n)) with B = 2 K T: with probability >= 1 - delta, no theta of the class has
    L(theta) - L_n(theta) above it.

    R >= E_S Rad(W, S), K the `contraction_constant`, T >= |theta . x|.  All losses h(t) - y t agree at t = 0, so they
    lie within K T of h(0): B = 2 K T is their range, as McDiarmid's inequality needs.  (Zhang et al., Corollary 3.1,
    with the constants that exist there; Bartlett and Mendelson, 2002; Ledoux and Talagrand's contraction.)
    """
    require_at_least("n", n, 1, "the size of a sample")
    if not 0 < delta < 1:
        raise ValueError(f"delta={delta!r}: needed is a number in (0, 1)")
    span = 2 * lipschitz * largest_output
    return 2 * lipschitz * complexity + span * math.sqrt(math.log(1 / delta) / (2 * n))
