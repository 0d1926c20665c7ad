"""The cross-entropy in Theorem 3: its derivatives, and Corollary 4 of Carratino et al. with an inverse that exists.

    l(y, u) = log sum_k e^(u_k) - y . u,        S = softmax(u),        H = diag(S) - S S^T

The derivatives are rational in t_k = e^(u_k), Corollary 4 in the probabilities S_1, .., S_(K-1).  -sum_k y_k log S_k is
the same function as l where the labels sum to one.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import equation, require_fault
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.perturbed_erm import PAPER

CE_FAULTS = ("label", "square", "unit", "slope")
COROLLARY4_FAULTS = ("inverse", "sum", "sign", "outer")


class _Softmax:
    """u, y, t = e^u and the softmax for K outputs; derivatives by u are taken, then written in t."""

    def __init__(self, outputs: int) -> None:
        self.u = sp.symbols(f"u_1:{outputs + 1}", real=True)
        self.y = sp.symbols(f"y_1:{outputs + 1}", real=True)
        self.t = sp.symbols(f"t_1:{outputs + 1}", positive=True)
        self.S = sp.Matrix([t / sp.Add(*self.t) for t in self.t])
        self.H = sp.diag(*self.S) - self.S * self.S.T

    @property
    def log_sum_exp(self) -> sp.Expr:
        return sp.log(sp.Add(*map(sp.exp, self.u)))

    def loss(self) -> sp.Expr:
        return self.log_sum_exp - sp.Add(*(y * u for y, u in zip(self.y, self.u, strict=True)))

    def log_softmax_loss(self) -> sp.Expr:
        """-sum_k y_k log S_k."""
        return -sp.Add(*(y * (u - self.log_sum_exp) for y, u in zip(self.y, self.u, strict=True)))

    def in_t(self, expression: sp.Basic) -> sp.Basic:
        return expression.subs({u: sp.log(t) for u, t in zip(self.u, self.t, strict=True)}, simultaneous=True)


@cache
def cross_entropy_derivatives(outputs: int = 3, *, fault: str | None = None) -> Derivation:
    """The five derivatives of the slide; and those of -sum_k y_k log S_k, which differ off the labels that sum to one.

    Faults: "label": S + y for S - y; "square": diag(S^2) for diag(S); "unit": I for -I; "slope": u for
    -u, and I for 0.
    """
    require_fault(fault, CE_FAULTS)
    s = _Softmax(outputs)
    y, u, one = sp.Matrix(s.y), sp.Matrix(s.u), sp.ones(outputs, 1)
    slope = s.S + y if fault == "label" else s.S - y
    curvature = s.H + sp.diag(*(p**2 - p for p in s.S)) if fault == "square" else s.H
    mixed = sp.eye(outputs) * (1 if fault == "unit" else -1)
    by_label = -u if fault == "slope" else u
    by_labels = sp.eye(outputs) if fault == "slope" else sp.zeros(outputs)
    first, other = s.loss(), s.log_softmax_loss()
    total, level = sp.Add(*s.y), s.log_sum_exp
    names = [sp.Symbol(rf"\nabla_{{{by}}}\ell") for by in ("y", "u", "yy", "yu", "uu")]
    printed = [sp.Symbol(text) for text in ("-u^{\\top}", "(S-y)^{\\top}", "0", "-I", "H")]
    lines = [equation(name, value) for name, value in zip(names, printed, strict=True)]
    differ = [sp.Symbol(text) for text in (r"-u^{\top}+\log\Sigma_{k}e^{u_{k}}\,1^{\top}", r"-I+1S^{\top}")]
    gaps = (
        _gradient(first, s.y) + by_label,
        s.in_t(_gradient(first, s.u)) - slope,
        sp.hessian(first, s.y) - by_labels,
        _mixed(first, s) - mixed,
        s.in_t(sp.hessian(first, s.u)) - curvature,
    )
    titles = ("the label", "the output", "the label twice", "label and output", "the output twice")
    steps = [
        Step(f"By {title}", line, gap, f"{PAPER}, cross-entropy")
        for title, line, gap in zip(titles, lines, gaps, strict=True)
    ]
    by_y = _gradient(other, s.y) + u - level * one
    by_u = s.in_t(_gradient(other, s.u)) - slope - (total - 1) * s.S
    by_both = s.in_t(_mixed(other, s)) - mixed - one * s.S.T
    twice = s.in_t(sp.hessian(other, s.u)) - total * curvature
    steps += [
        Step(
            "-y log S: by the label, and by label and output",
            (equation(names[0], differ[0]), equation(names[3], differ[1])),
            (by_y, by_both),
            "ours",
        ),
        Step(
            "-y log S: by the output, as printed where labels sum to one", (lines[1], lines[4]), (by_u, twice), "ours"
        ),
    ]
    return Derivation(f"The derivatives of the cross-entropy, K = {outputs}", tuple(steps))


@cache
def corollary4(outputs: int = 2, d: int = 2, *, fault: str | None = None) -> Derivation:
    """H has no inverse; with its pseudo-inverse, or with diag(1/S), R1 + R3 is what the square stands for.

    Sigma_xx is diagonal, in a basis of the inputs; the columns of Sigma_yx sum to zero, as labels sum to one.  Faults:
    "inverse": diag(S) for diag(1/S); "sum": columns that do not sum to zero; "sign": -J for J; "outer": diag(S) for H.
    """
    require_fault(fault, COROLLARY4_FAULTS)
    first = sp.symbols(f"S_1:{outputs}", positive=True)
    S = sp.Matrix([*first, 1 - sp.Add(*first)])
    H = sp.diag(*S) - (0 if fault == "outer" else 1) * S * S.T
    one, projection = sp.ones(outputs, 1), sp.eye(outputs) - sp.ones(outputs) / outputs
    simple = sp.diag(*(p if fault == "inverse" else 1 / p for p in S))
    pseudo = projection * simple * projection
    penrose = (
        H * pseudo * H - H,
        pseudo * H * pseudo - pseudo,
        *((A - A.T) for A in (H * pseudo, pseudo * H)),
    )
    null = equation(sp.Symbol("H 1"), sp.S.Zero)
    stated = equation(sp.Symbol("H^{+}"), sp.Symbol(r"P\,\mathrm{diag}(1/S)\,P"))
    parts = equation(
        sp.Symbol("R_1") + sp.Symbol("R_3"),
        sp.Symbol(r"\frac{1}{2}\mathrm{tr}(HG\Sigma_{xx}G^{\top})-\mathrm{tr}(\Sigma_{xy}G)"),
    )
    cases = {"the pseudo-inverse": pseudo, "diag(1/S)": simple}
    corollary = "corrects " + PAPER + ", Corollary 4"
    steps = [
        Step("H has no inverse", null, H * one, PAPER + ", Corollary 4"),
        Step("Its pseudo-inverse", stated, penrose, corollary),
    ]
    steps += [
        Step(f"R1 and R3 with {name}", parts, _square(H, inverse, d, fault), corollary)
        for name, inverse in cases.items()
    ]
    return Derivation(f"Corollary 4, d = {d}, K = {outputs}", tuple(steps))


def _square(H: sp.MatrixBase, inverse: sp.MatrixBase, d: int, fault: str | None) -> sp.Expr:
    """R1 + R3 with the given inverse of H, less the two terms that they stand for."""
    outputs = H.rows
    G = sp.Matrix(outputs, d, lambda k, j: sp.Symbol(f"G_{k + 1}{j + 1}"))
    xx = sp.diag(*sp.symbols(f"s_1:{d + 1}", positive=True))
    yx = sp.Matrix(outputs, d, lambda k, j: sp.Symbol(f"t_{k + 1}{j + 1}"))
    if fault != "sum":
        yx[outputs - 1, :] = -sum((yx[k, :] for k in range(1, outputs - 1)), yx[0, :])
    J = (-1 if fault == "sign" else 1) * inverse * yx * xx.inv()
    HJ = (H * J).applyfunc(sp.cancel)
    r1 = (H * G * xx * G.T - 2 * HJ * xx * G.T + HJ * xx * J.T).trace() / 2
    r3 = -(xx.inv() * yx.T * inverse * yx).trace() / 2
    return r1 + r3 - (H * G * xx * G.T).trace() / 2 + (yx.T * G).trace()


def _gradient(expression: sp.Expr, by: tuple[sp.Symbol, ...]) -> sp.MatrixBase:
    return sp.Matrix([expression.diff(v) for v in by])


def _mixed(expression: sp.Expr, s: _Softmax) -> sp.MatrixBase:
    return sp.Matrix([[expression.diff(y, u) for u in s.u] for y in s.y])
