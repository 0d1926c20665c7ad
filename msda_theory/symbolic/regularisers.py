"""L_m, R1, R2 and R3 of Theorem 1 for a given network, loss and data, by sympy's differentiation.

Exact for exact data, and as a numpy function: a channel that shares nothing with automatic differentiation.  With
outputs f_1..f_K, h of K arguments, n and A the first two moments of the share N that a sample sees (`seen_moments`),
rbar the mean of the data and C_i = E_r[(r-x_i)(r-x_i)^T]:

    R1 = 1/m  sum_i sum_k  (h_k - y_ik) sum_j n_j d_j f_k (rbar_j - x_ij)
    R2 = 1/2m sum_i sum_kl h_kl sum_jp A_jp C_i,jp d_j f_k d_p f_l
    R3 = 1/2m sum_i sum_k  (h_k - y_ik) sum_jp A_jp C_i,jp d_jp f_k.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, TypeAlias

import sympy as sp

Four = tuple[sp.Expr, sp.Expr, sp.Expr, sp.Expr]
Outputs: TypeAlias = sp.Expr | Sequence[sp.Expr]


def regularisers(
    f: Outputs,
    h: Callable[..., sp.Expr],
    coordinates: Sequence[sp.Symbol],
    data: Sequence[Sequence[Any]],
    labels: Sequence[Any],
    first: Sequence[Any],
    second: Any,
    *,
    centred: bool = False,
) -> Four:
    """(L_m, R1, R2, R3) as exact expressions.

    f : expression in the coordinates, or K of them     h : callable of K expressions, such as `sp.exp`
    data : m rows of d values                           labels : m values, or m rows of K
    first : n, d values                                 second : A, d x d values
    centred : take the mean of the data as zero, as eqs. (7)-(8) do
    """
    rows, x = sp.Matrix(data), tuple(coordinates)
    m = rows.rows
    mean = [sp.S.Zero if centred else sp.Add(*rows.col(j)) / m for j in range(len(x))]
    outputs = _outputs(f)
    y = [sp.Dummy() for _ in outputs]
    terms = _terms(outputs, h, x, y, list(map(sp.sympify, first)), sp.Matrix(second), mean, rows.T * rows / m)
    return _averaged(terms, (*x, *y), rows, labels)


def printed_regularisers(
    f: sp.Expr,
    h: Callable[[sp.Expr], sp.Expr],
    coordinates: Sequence[sp.Symbol],
    data: Sequence[Sequence[Any]],
    labels: Sequence[Any],
    mean: Any,
    second: Any,
) -> Four:
    """(L_m, R1, R2, R3) by the second expressions of (7)-(8) of Park et al., one output; they suppose E[r] = 0.

    mean : E_D~[1-lambda]     second : E_D~[a_jk], d x d
    """
    rows, x, u, y = sp.Matrix(data), tuple(coordinates), sp.Dummy(), sp.Dummy()
    m, d, a = rows.rows, len(x), sp.Matrix(second)
    h0, h1, h2 = (sp.diff(h(u), u, order).subs(u, f) for order in range(3))
    gradient, hessian = sp.Matrix([f.diff(v) for v in x]), sp.hessian(f, x)
    around = rows.T * rows / m + sp.Matrix(x) * sp.Matrix(x).T
    cells = list(product(range(d), repeat=2))
    G = sp.Add(*(a[j, k] * gradient[j] * gradient[k] * around[j, k] for j, k in cells))
    H = sp.Add(*(a[p] * hessian[p] * around[p] for p in cells))
    terms = h0 - y * f, (y - h1) * gradient.dot(sp.Matrix(x)) * mean, h2 * G / 2, (h1 - y) * H / 2
    return _averaged(terms, (*x, y), rows, labels)


def lambdify_regularisers(
    f: Outputs, h: Callable[..., sp.Expr], coordinates: Sequence[sp.Symbol], *, centred: bool = False
) -> Callable[[Any, Any, Any, Any], tuple[float, float, float, float]]:
    """A function of numpy arrays x (m, d), y (m,) or (m, K), first (d,), second (d, d) that returns L_m, R1, R2, R3."""
    x, outputs, d = tuple(coordinates), _outputs(f), len(coordinates)
    y, n, mean = ([sp.Dummy() for _ in range(size)] for size in (len(outputs), d, d))
    A, Q = (sp.Matrix(d, d, lambda j, k: sp.Dummy()) for _ in range(2))
    terms = _terms(outputs, h, x, y, n, A, mean, Q)
    arguments = [list(x), y, n, list(A), mean, list(Q)]
    evaluate = sp.lambdify(arguments, list(terms), modules="numpy", cse=True)

    def function(inputs: Any, labels: Any, first: Any, second: Any) -> tuple[float, float, float, float]:
        m = len(inputs)
        targets = labels.reshape(m, -1).T
        centre = 0 * inputs.mean(0) if centred else inputs.mean(0)
        square = inputs.T @ inputs / m
        values = evaluate(inputs.T, targets, first, second.reshape(-1), centre, square.reshape(-1))
        standard, r1, r2, r3 = (float((value + 0 * targets[0]).mean()) for value in values)
        return standard, r1, r2, r3

    return function


def _terms(
    outputs: Sequence[sp.Expr],
    h: Callable[..., sp.Expr],
    x: Sequence[sp.Symbol],
    y: Sequence[sp.Expr],
    n: Sequence[sp.Expr],
    A: sp.MatrixBase,
    mean: Sequence[sp.Expr],
    Q: sp.MatrixBase,
) -> Four:
    """The four terms of one sample x with labels y; `mean` and Q are the first two moments of the data."""
    u = [sp.Dummy() for _ in outputs]
    loss, at = h(*u), dict(zip(u, outputs, strict=True))
    slopes = [loss.diff(v).subs(at) - label for v, label in zip(u, y, strict=True)]
    jacobian = [[f.diff(v) for v in x] for f in outputs]
    cells, classes = list(product(range(len(x)), repeat=2)), range(len(outputs))
    weight = {(j, k): A[j, k] * (Q[j, k] - mean[j] * x[k] - x[j] * mean[k] + x[j] * x[k]) for j, k in cells}
    standard = loss.subs(at) - sp.Add(*(label * f for label, f in zip(y, outputs, strict=True)))
    r1 = sp.Add(*(slopes[k] * n[j] * jacobian[k][j] * (mean[j] - x[j]) for k in classes for j in range(len(x))))
    r2 = sp.Add(
        *(
            loss.diff(u[k], u[q]).subs(at) * weight[j, p] * jacobian[k][j] * jacobian[q][p]
            for k, q in product(classes, repeat=2)
            for j, p in cells
        )
    )
    r3 = sp.Add(*(slopes[k] * weight[j, p] * outputs[k].diff(x[j], x[p]) for k in classes for j, p in cells))
    return standard, r1, r2 / 2, r3 / 2


def _outputs(f: Outputs) -> tuple[sp.Expr, ...]:
    return tuple(map(sp.sympify, f)) if isinstance(f, Sequence) else (sp.sympify(f),)


def _averaged(terms: Four, names: Sequence[sp.Symbol], rows: sp.MatrixBase, labels: Sequence[Any]) -> Four:
    """The means over the samples of terms in `names`, the coordinates and then the labels of one sample."""
    m, y = rows.rows, sp.Matrix(labels)
    if y.rows != m:
        raise ValueError(f"labels has {y.rows} entries, data {m} rows: one label a sample is needed")
    points = [dict(zip(names, (*rows.row(i), *y.row(i)), strict=True)) for i in range(m)]
    sums = (sp.Add(*(term.subs(point, simultaneous=True) for point in points)) for term in terms)
    standard, r1, r2, r3 = (total / m for total in sums)
    return standard, r1, r2, r3
