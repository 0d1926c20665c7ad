"""The inequalities behind the slides' bounds: proofs by algebra, and a search for violations of what is bounded.

Every positive semidefinite matrix is U U^T, so an inequality between traces of such matrices is one between
polynomials in their factors, and proved where the gap is a sum of squares.
"""

from __future__ import annotations

from itertools import combinations, product

import sympy as sp
import torch
from torch import Tensor

STARTS, STEPS, SIZE, OUTPUTS = 32, 300, 3, 3


def trace_product_gap(size: int, factor: sp.Expr = sp.S.One) -> sp.Expr:
    """factor tr A tr B - tr AB less the squares it is the sum of, A = U U^T, B = V V^T: 0 proves tr AB <= tr A tr B.

    Lagrange's identity, column by column: |u|^2 |v|^2 - (u . v)^2 = sum_{j<k} (u_j v_k - u_k v_j)^2.
    """
    u, v = (sp.Matrix(size, 2, sp.symbols(f"{name}:{2 * size}", real=True)) for name in "uv")
    a, b = u * u.T, v * v.T
    squares = [
        (u[j, m] * v[k, n] - u[k, m] * v[j, n]) ** 2
        for m, n in product(range(2), repeat=2)
        for j, k in combinations(range(size), 2)
    ]
    return sp.expand(factor * a.trace() * b.trace() - (a * b).trace() - sum(squares))


def trace_of_product_gap(size: int) -> sp.Expr:
    """tr AB - |U^T V|^2 for A = U U^T, B = V V^T: 0, so that tr AB >= 0."""
    u, v = (sp.Matrix(size, 2, sp.symbols(f"{name}:{2 * size}", real=True)) for name in "uv")
    inner = u.T * v
    return sp.expand((u * u.T * v * v.T).trace() - (inner * inner.T).trace())


def entropy_is_above() -> bool:
    """-log p >= 1 - p on (0, 1]: the gap is 0 at 1 and falls before it.  So tr H = sum p (1-p) <= entropy."""
    p = sp.Symbol("p", positive=True)
    gap = -sp.log(p) - (1 - p)
    rising = sp.solveset(sp.diff(gap, p) > 0, p, sp.Interval.open(0, 1))
    return bool(gap.subs(p, 1) == 0 and rising is sp.S.EmptySet)


def softmax_curvature(classes: int) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """p with sum 1, H = diag(p) - p p^T, and P diag(1/p) P, which `penrose_gaps` shows to be its pseudo-inverse."""
    free = sp.symbols(f"p:{classes - 1}", positive=True)
    p = sp.Matrix([*free, 1 - sum(free)])
    centring = sp.eye(classes) - sp.ones(classes) / classes
    return p, sp.diag(*p) - p * p.T, centring * sp.diag(*(1 / v for v in p)) * centring


def penrose_gaps(classes: int) -> set[sp.Expr]:
    """What is left of H H+ H - H, H+ H H+ - H+ and H H+ - (H H+)^T: {0}."""
    _, h, inverse = softmax_curvature(classes)
    gaps = (h * inverse * h - h, inverse * h * inverse - inverse, h * inverse - (h * inverse).T)
    return {sp.cancel(entry) for gap in gaps for entry in gap}


def explained_gap(classes: int, power: int = -1) -> sp.Expr:
    """tr(K H+) - sum_k K_kk p_k^power for any symmetric K with K 1 = 0: 0 at power -1."""
    p, _, inverse = softmax_curvature(classes)
    free = sp.symbols(f"k:{(classes - 1) ** 2}", real=True)
    corner = sp.Matrix(classes - 1, classes - 1, lambda i, j: free[min(i, j) * (classes - 1) + max(i, j)])
    side = -corner * sp.ones(classes - 1, 1)
    k = sp.Matrix([[corner, side], [side.T, -sp.ones(1, classes - 1) * side]])
    return sp.simplify((k * inverse).trace() - sum(k[j, j] * p[j] ** power for j in range(classes)))


def hessian_ratios(*, laplacians: bool, seed: int) -> Tensor:
    """<Sigma, sum_k v_k A_k> over tr Sigma |v| (sum_k N(A_k)^2)^(1/2), driven up by gradient ascent, one per start.

    Sigma is 3 x 3 and positive semidefinite, v sums to zero as S(u) - y does, the A_k are symmetric; N is the largest
    |eigenvalue|, or |tr A_k| with `laplacians`.
    """
    draw = torch.Generator().manual_seed(seed)
    shapes = ((SIZE, SIZE), (OUTPUTS,), (OUTPUTS, SIZE, SIZE))
    free = [torch.randn(STARTS, *shape, generator=draw, dtype=torch.float64).requires_grad_() for shape in shapes]
    optimiser = torch.optim.Adam(free, lr=0.05)
    best = torch.full((STARTS,), -torch.inf, dtype=torch.float64)
    for _ in range(STEPS):
        optimiser.zero_grad()
        ratio = _hessian_ratio(*free, laplacians=laplacians)
        best = torch.maximum(best, ratio.detach())
        (-ratio.sum()).backward()
        optimiser.step()
    return best


def _hessian_ratio(u: Tensor, v: Tensor, a: Tensor, *, laplacians: bool) -> Tensor:
    sigma, v, a = u @ u.mT, v - v.mean(-1, keepdim=True), a + a.mT
    value = torch.einsum("sij,sk,skij->s", sigma, v, a)
    norms = torch.einsum("skii->sk", a).abs() if laplacians else torch.linalg.matrix_norm(a, 2)
    return value / (torch.einsum("sii->s", sigma) * v.norm(dim=-1) * norms.norm(dim=-1))
