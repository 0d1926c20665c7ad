"""The trace identities of Park et al., sec. 3, that tie R2 to the parameters of a linear first layer.

f(x) = F(theta x) with unspecified F, theta = theta_1 the 2 x 2 matrix of the first layer, g = dF/d(theta x); N is the
share of the partner (the paper's 1-M), of any law with E[N_j N_k] = a_jk:

    nabla_theta f = g x^T,   nabla_x f = theta^T g,   (N * nabla_x f)^T x = tr((nabla_theta f)^T theta diag(N)).
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import average, equation, moments, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step

FIRST_LAYER_FAULTS = ("outer", "transpose", "role", "uncentred")
SOURCE = "Park et al., sec. 3"

x, r, N, g = (sp.symbols(f"{name}_1:3") for name in ("x", "r", "N", "g"))
theta = sp.Matrix(2, 2, lambda a, b: sp.Symbol(f"theta_{a + 1}{b + 1}"))
A, Q = (sp.Matrix(2, 2, lambda j, k, n=n: sp.Symbol(f"{n}_{min(j, k) + 1}{max(j, k) + 1}")) for n in ("a", "Q"))
column_x, column_r, column_g, shares = sp.Matrix(x), sp.Matrix(r), sp.Matrix(g), sp.diag(*N)
#: E[N], which no step may depend on
UNSEEN = sp.symbols("n_1:3")


@cache
def first_layer(*, fault: str | None = None) -> Derivation:
    """Both gradients by the chain rule, the chain of traces, and the two halves of G, (8), as mean squares of traces.

    Faults: "outer": x g^T for g x^T; "transpose": theta for its transpose; "role": M for 1-M in the trace;
    "uncentred": E[r] not zero.
    """
    require_fault(fault, FIRST_LAYER_FAULTS)
    steps = (_in_parameters(fault), _in_input(fault), _traces(fault), _own_half(fault), _partner_half(fault))
    return Derivation("The first layer in R2", (*steps, _whole(fault)))


def _output() -> sp.Expr:
    return smooth("F", 0, 0)(*(theta * column_x))


def _placed(expression: sp.Expr) -> sp.Expr:
    """The partial derivatives of F at theta x for g."""
    at = tuple(theta * column_x)
    return expression.xreplace({g[0]: smooth("F", 1, 0)(*at), g[1]: smooth("F", 0, 1)(*at)})


def _parameter_gradient() -> sp.MatrixBase:
    """nabla_theta f, differentiated."""
    return theta.applyfunc(_output().diff)


def _input_gradient() -> sp.MatrixBase:
    """nabla_x f, differentiated."""
    return column_x.applyfunc(_output().diff)


def _shares(fault: str | None) -> sp.MatrixBase:
    return sp.eye(2) - shares if fault == "role" else shares


def _in_parameters(fault: str | None) -> Step:
    product = column_x * column_g.T if fault == "outer" else column_g * column_x.T
    names = [sp.Symbol(rf"\partial_{{\theta_{{{a + 1}{b + 1}}}}} f") for a in range(2) for b in range(2)]
    lines = tuple(equation(name, entry) for name, entry in zip(names, product, strict=True))
    return Step("Gradient in the first layer", lines, _parameter_gradient() - _placed(product), SOURCE)


def _in_input(fault: str | None) -> Step:
    product = (theta if fault == "transpose" else theta.T) * column_g
    lines = tuple(equation(sp.Symbol(rf"\partial_{{x_{{{j + 1}}}}} f"), entry) for j, entry in enumerate(product))
    return Step("Gradient in the input", lines, _input_gradient() - _placed(product), SOURCE)


def _trace(gradient: sp.MatrixBase, fault: str | None) -> sp.Expr:
    """tr(gradient^T theta diag(N))."""
    return (gradient.T * theta * _shares(fault)).trace()


def _traces(fault: str | None) -> Step:
    """The printed chain: each member less the product of the masked gradient and x."""
    product = (shares * _input_gradient()).dot(column_x)
    members = (
        (column_x * (shares * _input_gradient()).T).trace(),
        _placed((column_x * (shares * theta.T * column_g).T).trace()),
        _placed((column_x * column_g.T * theta * _shares(fault)).trace()),
        _trace(_parameter_gradient(), fault),
    )
    name = sp.Symbol(r"(N\odot\nabla_x f)^{\top} x")
    line = equation(name, _trace(column_g * column_x.T, fault))
    return Step("Chain of traces", line, tuple(product - member for member in members), SOURCE)


def _form(products: sp.MatrixBase) -> sp.Expr:
    """sum_jk a_jk d_j f d_k f products_jk."""
    gradient = _input_gradient()
    return sp.Add(*(A[j, k] * gradient[j] * gradient[k] * products[j, k] for j in range(2) for k in range(2)))


def _over_shares(expression: sp.Expr) -> sp.Expr:
    return average(sp.expand(expression), N, moments(UNSEEN, A))


def _over_partner(expression: sp.Expr, fault: str | None = None) -> sp.Expr:
    mean = sp.symbols("rbar_1:3") if fault == "uncentred" else (sp.S.Zero, sp.S.Zero)
    return average(sp.expand(expression), r, moments(mean, Q))


def _own_half(fault: str | None) -> Step:
    square = _over_shares(_trace(_parameter_gradient(), fault) ** 2)
    name = sp.Symbol(r"\sum_{jk} a_{jk}\,\partial_j f\,\partial_k f\,x_j x_k")
    line = equation(name, sp.Symbol(r"\mathbb{E}[\mathrm{tr}((\nabla_{\theta}f)^{\top}\theta\,\mathrm{diag}(N))^{2}]"))
    return Step("The sample's half of G", line, _form(column_x * column_x.T) - square, SOURCE)


def _partner_half(fault: str | None) -> Step:
    square = _over_partner(_over_shares(_placed(_trace(column_g * column_r.T, fault)) ** 2))
    name = sp.Symbol(r"\sum_{jk} a_{jk}\,\partial_j f\,\partial_k f\,\mathbb{E}[r_j r_k]")
    line = equation(name, sp.Symbol(r"\mathbb{E}[\mathrm{tr}((g r^{\top})^{\top}\theta\,\mathrm{diag}(N))^{2}]"))
    return Step("The partner's half of G", line, _form(Q) - square, "completes Park et al., sec. 3")


def _whole(fault: str | None) -> Step:
    """E[(sum_j N_j d_j f (r_j - x_j))^2] is the sum of the halves, for E[r] = 0."""
    along = (shares * _input_gradient()).dot(column_r - column_x)
    gap = _over_partner(_over_shares(along**2), fault) - _form(column_x * column_x.T + Q)
    name = sp.Symbol(r"\mathbf{G}")
    halves = sp.Symbol(r"\sum_{jk} a_{jk}\,\partial_j f\,\partial_k f\,(\mathbb{E}[r_j r_k] + x_j x_k)")
    return Step("G is the sum of its halves", equation(name, halves), gap, "Park et al., (8)")
