"""Laws of n mixing ratios on the simplex, sum_k lambda_k = 1: moments, label-weighted laws and quadrature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from scipy.special import gammaln

from msda_theory._validation import require_at_least, require_finite_positive
from msda_theory.quadrature import Array, beta_rule

LARGEST_RULE = 2**27


@dataclass(frozen=True)
class SimplexRule:
    """Nodes (Q, n) on the simplex and weights (Q,): sum_q weights[q] g(ratios[q]) = E[g(lambda)]."""

    ratios: Array
    weights: Array

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class Dirichlet:
    """lambda ~ Dir(alpha), density Gamma(A) / prod_k Gamma(alpha_k) prod_k lambda_k^(alpha_k - 1), A = sum_k alpha_k.

    (Park et al., App. B.)  With two entries, lambda_1 ~ Beta(alpha_1, alpha_2).

    Raises TypeError, ValueError unless alpha holds at least two numbers, finite and positive.
    """

    alpha: tuple[float, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.alpha, Sequence | np.ndarray):
            raise TypeError(f"alpha={self.alpha!r}: needed is a sequence of numbers > 0, as in (1.0, 1.0, 1.0)")
        if len(self.alpha) < 2:
            raise ValueError(f"alpha={tuple(self.alpha)}: needed are at least two entries, one a sample that is mixed")
        for k, value in enumerate(self.alpha):
            require_finite_positive(f"alpha[{k}]", value)
        object.__setattr__(self, "alpha", tuple(float(value) for value in self.alpha))

    def __len__(self) -> int:
        """n, the number of samples that are mixed."""
        return len(self.alpha)

    @property
    def total(self) -> float:
        """A = sum_k alpha_k."""
        return math.fsum(self.alpha)

    @property
    def mean(self) -> Array:
        """E[lambda_k] = alpha_k / A."""
        return np.array(self.alpha) / self.total

    def moment(self, powers: Sequence[float]) -> float:
        """E[prod_k lambda_k^p_k] = Gamma(A) / Gamma(A + sum_k p_k) prod_k Gamma(alpha_k + p_k) / Gamma(alpha_k).

        inf where alpha_k + p_k <= 0 for some k.  Raises ValueError unless there is one power a ratio.
        """
        if len(powers) != len(self):
            raise ValueError(f"powers has {len(powers)} entries, alpha has {len(self)}: needed is one power a ratio")
        raised = np.array(self.alpha) + np.asarray(powers, dtype=float)
        if (raised <= 0).any():
            return math.inf
        logs = gammaln(raised) - gammaln(self.alpha)
        return float(np.exp(logs.sum() + gammaln(self.total) - gammaln(raised.sum())))

    def tilted(self, k: int) -> Dirichlet:
        """Dir(alpha + e_k), the law of density lambda_k p(lambda) / E[lambda_k]: that of lambda where label k is drawn.

        E[lambda_k g(lambda)] = alpha_k / A E_{Dir(alpha + e_k)}[g(lambda)]  (Park et al., App. B, by conjugacy).
        """
        require_at_least("k", k, 0, f"below {len(self)}")
        if k >= len(self):
            raise ValueError(f"k={k}: needed is an integer below {len(self)}, the number of ratios")
        return replace(self, alpha=tuple(a + (j == k) for j, a in enumerate(self.alpha)))

    def label_weighted(self) -> DirichletMixture:
        """D~_Lambda = sum_l alpha_l / A Dir(alpha_l + 1, alpha_{l+1}, .., alpha_{l+n-1}), indices mod n.

        (Park et al., App. B.)  The ratio of the sample whose label is kept comes first, those of its partners follow.
        """
        turned = [self.alpha[k:] + self.alpha[:k] for k in range(len(self))]
        return DirichletMixture(tuple(self.mean.tolist()), tuple(Dirichlet(alpha).tilted(0) for alpha in turned))

    def rule(self, order: int) -> SimplexRule:
        """order^(n-1) nodes, exact for polynomials of total degree up to 2 order - 1.

        By breaking sticks: lambda_k = b_k prod_{j<k} (1 - b_j) with independent b_k ~ Beta(alpha_k, sum_{j>k} alpha_j).
        A polynomial of total degree p in lambda has degree p, at most, in each b_k, which has a Gauss-Jacobi rule.

        Raises ValueError where order < 1, or the rule takes more than `LARGEST_RULE` numbers.
        """
        require_at_least("order", order, 1, "the nodes of one axis")
        if order ** (len(self) - 1) * len(self) > LARGEST_RULE:
            raise ValueError(
                f"order={order}: a rule for {len(self)} ratios has {order}^{len(self) - 1} nodes, allowed are "
                f"{LARGEST_RULE // len(self):.1e}"
            )
        rest = list(accumulate(reversed(self.alpha)))[-2::-1]  # sum_{j>k} alpha_j for k < n
        sticks = [beta_rule(order, a, b) for a, b in zip(self.alpha[:-1], rest, strict=True)]
        ratios, left, weights = np.empty((1, 0)), np.ones(1), np.ones(1)
        for nodes, mass in sticks:
            broken = np.outer(left, nodes).ravel()
            ratios = np.column_stack([np.repeat(ratios, order, axis=0), broken])
            left = np.outer(left, 1 - nodes).ravel()
            weights = np.outer(weights, mass).ravel()
        return SimplexRule(np.column_stack([ratios, left]), weights)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        """`n` independent vectors of ratios, (n, len(alpha))."""
        return np.random.default_rng(seed).dirichlet(self.alpha, size=n)


@dataclass(frozen=True)
class DirichletMixture:
    """lambda drawn from `components[l]` with probability `weights[l]`; made by `Dirichlet.label_weighted`."""

    weights: tuple[float, ...]
    components: tuple[Dirichlet, ...]

    def moment(self, powers: Sequence[float]) -> float:
        """E[prod_k lambda_k^p_k]."""
        return math.fsum(w * law.moment(powers) for w, law in zip(self.weights, self.components, strict=True))

    def rule(self, order: int) -> SimplexRule:
        """The rules of the components side by side."""
        rules = [law.rule(order) for law in self.components]
        weights = [w * rule.weights for w, rule in zip(self.weights, rules, strict=True)]
        return SimplexRule(np.concatenate([rule.ratios for rule in rules]), np.concatenate(weights))
