"""The second-order Mixup risk: the Taylor step l_Q and Theorem 3 of Carratino et al., for unspecified l and f.

One sample; d coordinates of the input, c of the label, K outputs.  Sigma_xx, Sigma_xy, Sigma_yy are unspecified (their
values are Lemma 2, `perturbed_erm`), as are the derivatives of l and f.  The square of Theorem 3
is completed in bases of the inputs and outputs in which Sigma_xx and l_uu = W^2 are diagonal: orthogonal changes of
them leave every trace as it is.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import average, equation, moments, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.perturbed_erm import PAPER

PERTURBED_TAYLOR_FAULTS = ("half", "cross", "hessian", "label", "slope")
PERTURBED_TERM_FAULTS = ("half", "cross", "hessian", "label", "sign", "transpose")

RISK, BASE = sp.Symbol(r"\mathcal{E}_{Q}"), sp.Symbol(r"\ell(\tilde{y}_{i},f(\tilde{x}_{i}))")
R = dict(zip("1234", sp.symbols("R_1:5"), strict=True))


class Polynomial:
    """l_Q at one sample, as printed; l and f unspecified.

    Faults: "half": the second-order terms without 1/2; "cross": a factor 1/2 with the mixed term in eps and delta;
    "hessian": without nabla^2 f; "label": without the term of l_yy; "slope": without nabla_y l eps.
    """

    def __init__(self, d: int, c: int, outputs: int, fault: str | None) -> None:
        self.fault = fault
        self.x, self.delta = (sp.symbols(f"{name}_1:{d + 1}") for name in ("x", r"delta"))
        self.y, self.eps = (sp.symbols(f"{name}_1:{c + 1}") for name in ("y", r"varepsilon"))
        self.names = [f"f^{{({k + 1})}}" for k in range(outputs)]

    def outputs(self, point: tuple[sp.Expr, ...]) -> list[sp.Expr]:
        return [smooth(name, *[0] * len(self.x))(*point) for name in self.names]

    def value(self, y: tuple[sp.Expr, ...], x: tuple[sp.Expr, ...]) -> sp.Expr:
        """l(y, f(x))."""
        return smooth(r"\ell", *[0] * (len(y) + len(self.names)))(*y, *self.outputs(x))

    def l(self, *order: int) -> sp.Expr:  # noqa: E743
        """A partial derivative of l at (y, f(x)): arguments 0..c-1 are the label's, the next K the output's."""
        size = len(self.y) + len(self.names)
        return smooth(r"\ell", *(order.count(k) for k in range(size)))(*self.y, *self.outputs(self.x))

    def f(self, k: int, *order: int) -> sp.Expr:
        return smooth(self.names[k], *(order.count(j) for j in range(len(self.x))))(*self.x)

    def first(self) -> sp.Expr:
        """nabla_y l eps + nabla_u l nabla f delta."""
        labels, own = range(len(self.y)), len(self.y)
        of_label = [self.l(a) * self.eps[a] for a in labels]
        of_input = [self.l(own + k) * self.along(k) for k in range(len(self.names))]
        return sp.Add(*of_input) if self.fault == "slope" else sp.Add(*of_label, *of_input)

    def along(self, k: int) -> sp.Expr:
        """The k-th entry of nabla f delta."""
        return sp.Add(*(self.f(k, j) * self.delta[j] for j in range(len(self.x))))

    def second(self) -> sp.Expr:
        """The three inner products of second order."""
        own, classes, labels = len(self.y), range(len(self.names)), range(len(self.y))
        half = sp.S.One if self.fault == "half" else sp.S.Half
        cells = list(product(range(len(self.x)), repeat=2))
        slopes = [self.l(own + k, own + q) * self.along(k) * self.along(q) for k, q in product(classes, repeat=2)]
        bends = [self.l(own + k) * self.f(k, i, j) * self.delta[i] * self.delta[j] for k in classes for i, j in cells]
        of_labels = [self.l(a, b) * self.eps[a] * self.eps[b] for a, b in product(labels, repeat=2)]
        mixed = [self.l(a, own + k) * self.eps[a] * self.along(k) for a in labels for k in classes]
        return sp.Add(
            half * sp.Add(*slopes),
            half * sp.Add(*bends) * int(self.fault != "hessian"),
            half * sp.Add(*of_labels) * int(self.fault != "label"),
            sp.Add(*mixed) * (sp.S.Half if self.fault == "cross" else 1),
        )


@cache
def perturbed_second_order(d: int = 2, c: int = 2, outputs: int = 2, *, fault: str | None = None) -> Derivation:
    """l_Q: its terms of order 0, 1 and 2 are those of l(y + s eps, f(x + s delta)) at s = 0, for every direction.

    Faults: see `Polynomial`.
    """
    require_fault(fault, PERTURBED_TAYLOR_FAULTS)
    p, s = Polynomial(d, c, outputs, fault), sp.Symbol("s")
    moved = p.value(
        tuple(y + s * e for y, e in zip(p.y, p.eps, strict=True)),
        tuple(x + s * v for x, v in zip(p.x, p.delta, strict=True)),
    )
    stated = (p.value(p.y, p.x), p.first(), 2 * p.second())
    names = [sp.Symbol(rf"\phi{mark}(0)") for mark in ("", "'", "''")]
    lines = [equation(name, term) for name, term in zip(names, stated, strict=True)]
    gaps = [moved.diff(s, order).subs(s, 0).doit() - term for order, term in enumerate(stated)]
    source = f"{PAPER}, l_Q"
    return Derivation(
        f"The Taylor step in (delta, epsilon), d = {d}, c = {c}, K = {outputs}",
        (
            Step("Value and first order", tuple(lines[:2]), tuple(gaps[:2]), source),
            Step("Second order", lines[2], gaps[2], source),
        ),
    )


class Square:
    """The matrices of one sample: G = nabla f (K x d), N = l_yu (c x K), Sigma_xy; diagonal W = l_uu^(1/2), Sigma_xx.

    Faults: "sign": J without its minus sign; "half": R3 without 1/2; "transpose": Sigma_xx for its inverse in R3.
    """

    def __init__(self, d: int, c: int, outputs: int, fault: str | None) -> None:
        self.fault = fault
        self.G, self.N = _matrix("G", outputs, d), _matrix("N", c, outputs)
        self.W = sp.diag(*sp.symbols(f"w_1:{outputs + 1}", positive=True))
        self.xx, self.xy = sp.diag(*sp.symbols(f"s_1:{d + 1}", positive=True)), _matrix("t", d, c)

    @property
    def half(self) -> sp.Expr:
        return sp.S.One if self.fault == "half" else sp.S.Half

    def target(self) -> sp.MatrixBase:
        """J = -l_uu^-1 l_uy Sigma_yx Sigma_xx^-1."""
        J = -(self.W**2).inv() * self.N.T * self.xy.T * self.xx.inv()
        return -J if self.fault == "sign" else J

    def r1(self) -> sp.Expr:
        """1/2 ||(G - J)^T l_uu^(1/2)||^2 in the metric Sigma_xx, with ||A||_Z^2 = tr(A^T Z A)."""
        A = (self.G - self.target()).T * self.W
        return (A.T * self.xx * A).trace() / 2

    def r3(self) -> sp.Expr:
        """-1/2 ||Sigma_xy l_yu l_uu^(-1/2)||^2 in the metric Sigma_xx^-1."""
        A = self.xy * self.N * self.W.inv()
        metric = self.xx if self.fault == "transpose" else self.xx.inv()
        return -self.half * (A.T * metric * A).trace()

    def merged(self) -> sp.Expr:
        """1/2 tr(l_uu G Sigma_xx G^T) + tr(Sigma_xy l_yu G)."""
        return (self.W**2 * self.G * self.xx * self.G.T).trace() / 2 + (self.xy * self.N * self.G).trace()


@cache
def perturbed_terms(d: int = 2, c: int = 2, outputs: int = 2, *, fault: str | None = None) -> Derivation:
    """Theorem 3: the mean of l_Q over perturbations with mean zero, and the square completed in the Jacobian.

    Faults: those of `Polynomial` (but "slope", which has mean zero) and of `Square`.
    """
    require_fault(fault, PERTURBED_TERM_FAULTS)
    averaged = _averaged(d, c, outputs, fault)
    square = Square(d, c, outputs, fault)
    total = sp.Symbol(r"\mathbb{E}\,\ell_{Q}")
    merged = sp.Symbol(r"\frac{1}{2}\mathrm{tr}(\ell_{uu}G\Sigma_{xx}G^{\top})") + sp.Symbol(
        r"\mathrm{tr}(\Sigma_{xy}\ell_{yu}G)"
    )
    parts = equation(R["1"] + R["3"], merged)
    whole = equation(RISK, BASE + R["1"] + R["2"] + R["3"] + R["4"])
    theorem = f"{PAPER}, Theorem 3"
    return Derivation(
        f"The four terms, d = {d}, c = {c}, K = {outputs}",
        (
            Step("The mean of l_Q", equation(total, BASE + merged + R["2"] + R["4"]), averaged, theorem),
            Step(
                "The square completed, where the inverses exist",
                (parts, whole),
                square.r1() + square.r3() - square.merged(),
                theorem,
            ),
        ),
    )


def _averaged(d: int, c: int, outputs: int, fault: str | None) -> sp.Expr:
    """E l_Q by the moments of (delta, eps), less l + 1/2 tr(l_uu G Sxx G^T) + tr(Sxy l_yu G) + R2 + R4 by matrices."""
    p = Polynomial(d, c, outputs, fault)
    honest = Polynomial(d, c, outputs, None)
    joint = _symmetric("S", d + c)
    table = moments((sp.S.Zero,) * (d + c), joint)
    mean = average(p.value(p.y, p.x) + p.first() + p.second(), (*p.delta, *p.eps), table)
    xx, xy, yy = joint[:d, :d], joint[:d, d:], joint[d:, d:]
    G = sp.Matrix(outputs, d, lambda k, j: honest.f(k, j))
    uu = sp.Matrix(outputs, outputs, lambda k, q: honest.l(c + k, c + q))
    yu, of_labels = (sp.Matrix(c, size, lambda a, k, o=o: honest.l(a, o + k)) for size, o in ((outputs, c), (c, 0)))
    bends = sp.Matrix(d, d, lambda i, j: sp.Add(*(honest.l(c + k) * honest.f(k, i, j) for k in range(outputs))))
    second = (uu * G * xx * G.T).trace() / 2 + (xy * yu * G).trace() + (xx * bends).trace() / 2
    return mean - honest.value(p.y, p.x) - second - (yy * of_labels).trace() / 2


def _matrix(name: str, rows: int, columns: int) -> sp.MatrixBase:
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}_{i + 1}{j + 1}"))


def _symmetric(name: str, size: int) -> sp.MatrixBase:
    return sp.Matrix(size, size, lambda i, j: sp.Symbol(f"{name}_{min(i, j) + 1}{max(i, j) + 1}"))
