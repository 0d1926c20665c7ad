"""Sec. 3: the trace identities for f(x) = f_2(theta_1 x), and what of R2 they express by the first layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from flint import fmpq
from torch import Tensor, nn
from torch.func import jacrev, vmap

from msda_theory import Augmentation, Beta
from msda_theory import masks as law
from msda_theory.expansions.second_order import taylor_loss
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.symbolic.first_layer import first_layer
from paper_checks.exact_cases import RATIOS, described, problem
from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import Mask, Number, TinyLaw, bernoulli, cutmix, mixup
from verify.tiny_problems import BetaInt, Matrix, TinyProblem, Vector, average, expansion, tilted_moments
from verify.tolerances import rounding

SHAPE, CLASSES, WIDTH, SAMPLES = (2, 2), 3, 5, 6
#: Gauss-Legendre nodes, exact for the polynomials in lambda below, of degree <= 5
NODES = 8


@dataclass(frozen=True)
class LayeredNet:
    """f(x) = c.z + z^T S z / 2 with z = theta x: two rational layers, the first linear."""

    theta: Matrix
    c: Vector
    S: Matrix

    @staticmethod
    def of(size: int) -> LayeredNet:
        theta = [[fmpq((2 * a + 3 * b + a * b) % 7 - 3, 2) for b in range(size)] for a in range(2)]
        return LayeredNet(theta, [fmpq(1, 2), fmpq(-2, 3)], [[fmpq(1), fmpq(1, 3)], [fmpq(1, 3), fmpq(-3, 2)]])

    def output(self, theta: Matrix, x: Vector) -> Number:
        z = [_dot(row, x) for row in theta]
        return _dot(self.c, z) + _dot(z, [_dot(row, z) for row in self.S]) / fmpq(2)

    def inner(self, x: Vector) -> list[Number]:
        """g = df/d(theta x) = c + S z."""
        z = [_dot(row, x) for row in self.theta]
        return [c + _dot(row, z) for c, row in zip(self.c, self.S, strict=True)]

    def parameter_gradient(self, x: Vector) -> list[list[Number]]:
        """nabla_theta f by central differences of step 1, exact for a quadratic: the chain rule is not used."""

        def moved(a: int, b: int, step: int) -> Number:
            rows = [[v + step * int((i, j) == (a, b)) for j, v in enumerate(row)] for i, row in enumerate(self.theta)]
            return self.output(rows, x)

        return [[(moved(a, b, 1) - moved(a, b, -1)) / fmpq(2) for b in range(len(x))] for a in range(2)]

    def on_data(self, size: int, *, centred: bool) -> TinyProblem:
        """The same network as a quadratic of x, on the tiny data; h = 5u/3 + 5u^2/4."""
        data, theta = problem(size, 3, linear=True, centred=centred), self.theta
        columns = [[row[j] for row in theta] for j in range(size)]
        curved = [[_dot(u, [_dot(row, v) for row in self.S]) for v in columns] for u in columns]
        return TinyProblem(data.x, data.y, [_dot(self.c, u) for u in columns], curved, fmpq(5, 3), fmpq(5, 2))


def trace(gradient: Matrix, theta: Matrix, share: Vector) -> Number:
    """tr(gradient^T theta diag(share)), entry by entry."""
    rows = zip(gradient, theta, strict=True)
    return sum(g * t * n for slopes, row in rows for g, t, n in zip(slopes, row, share, strict=True))


def _dot(u: Vector, v: Vector) -> Number:
    return sum(a * b for a, b in zip(u, v, strict=True))


def _share(mask: Mask, trial: Trial) -> Vector:
    """1-M; planted: M."""
    return trial.plant([1 - v for v in mask], list(mask))


@dataclass(frozen=True)
class Halves:
    """R2 of (7) and (8) and what the traces give: the half in x_i x_i^T, which (1-M) and nabla_theta f(x_i) give."""

    r2: Number
    own: Number
    partner: Number


def exact_halves(net: LayeredNet, p: TinyProblem, tiny: TinyLaw, ratio: BetaInt, trial: Trial, centred: bool) -> Halves:
    """In rationals, the masks enumerated: R2 with E[r] taken as zero if `centred`."""
    gradients = [net.parameter_gradient(x) for x in p.x]
    with_partner = [[[g * v for v in r] for g in net.inner(x)] for x in p.x for r in p.x]

    def mean_square(matrices: list[list[list[Number]]]) -> Number:
        def at(_: Number, mask: Mask) -> Number:
            return sum(trace(d, net.theta, _share(mask, trial)) ** 2 for d in matrices) / fmpq(len(matrices))

        return average(tiny, ratio.tilted_density, at)

    r2 = expansion(p, tilted_moments(tiny, ratio.tilted_density), centred=centred).r2
    return Halves(r2, p.q * mean_square(gradients) / 2, p.q * mean_square(with_partner) / 2)


def exact_cases() -> Iterator[tuple[LayeredNet, TinyLaw, BetaInt]]:
    for tiny in (mixup(3), bernoulli(3), cutmix(2, 2, "inside"), cutmix(2, 2, "torus")):
        for ratio in RATIOS:
            yield LayeredNet.of(tiny.size), tiny, ratio


def masked_products(net: LayeredNet, p: TinyProblem, tiny: TinyLaw, trial: Trial) -> list[Number]:
    """((1-M) * nabla_x f)^T x less the trace, for every sample and every mask at a ratio of each cell."""
    gaps = []
    for cell in tiny.cells:
        for _, mask in cell.atoms((cell.left + 2 * cell.right) / fmpq(3)):
            for x in p.x:
                masked = [(1 - v) * d for v, d in zip(mask, p.gradient(x), strict=True)]
                gaps.append(_dot(masked, x) - trace(net.parameter_gradient(x), net.theta, _share(mask, trial)))
    return gaps


def one_point() -> Halves:
    """Four copies of one sample, E[r] kept: no partner moves it, so R2 = 0, while the sample's half is not."""
    net, tiny = LayeredNet.of(3), mixup(3)
    data = net.on_data(3, centred=False)
    copies = TinyProblem([data.x[1]] * 4, [data.y[1]] * 4, data.w, data.Q, data.p, data.q)
    return exact_halves(net, copies, tiny, RATIOS[0], Trial(), centred=False)


def library_gap(mask: law.MaskLaw, trial: Trial) -> tuple[float, float]:
    """|R2 of the library - both halves from gradients in the parameters| and its tolerance; K outputs, softmax."""
    draw = torch.Generator().manual_seed(trial.seed)
    first, second = nn.Linear(4, WIDTH, dtype=torch.float64), nn.Linear(WIDTH, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64) / 2)
    x = torch.randn(SAMPLES, *SHAPE, generator=draw, dtype=torch.float64)
    x = x - x.mean(0)
    model = nn.Sequential(nn.Flatten(), first, nn.Tanh(), second).eval()
    labels = torch.arange(SAMPLES) % CLASSES
    r2 = taylor_loss(model, SoftmaxCrossEntropy(), x, labels, Augmentation(Beta(1.0, 1.0), mask), as_printed=True).r2
    own, partner = _traces(first, second, x.flatten(1))
    curvature = SoftmaxCrossEntropy().h2(model(x).detach())
    halves = [_mean_square(parts, first.weight.detach(), curvature, mask, trial) for parts in (own, partner)]
    return abs(r2 - sum(halves)), rounding(torch.float64, max(abs(r2), *halves), 16 * 16 * NODES)


def _traces(first: nn.Linear, second: nn.Linear, flat: Tensor) -> tuple[Tensor, Tensor]:
    """nabla_theta f_k(x_i), differentiated in the weights, (m, 1, K, p, d), and g r^T, (m, m, K, p, d)."""

    def in_weights(weight: Tensor, sample: Tensor) -> Tensor:
        return second(torch.tanh(weight @ sample + first.bias))

    def after(z: Tensor) -> Tensor:
        return second(torch.tanh(z))

    own = vmap(jacrev(in_weights), in_dims=(None, 0))(first.weight, flat)
    inner = vmap(jacrev(after))(first(flat))
    return own.detach().unsqueeze(1), torch.einsum("mkp,nd->mnkpd", inner, flat).detach()


def _mean_square(parts: Tensor, theta: Tensor, curvature: Tensor, mask: law.MaskLaw, trial: Trial) -> float:
    """1/2m sum_i E[t^T h'' t], t_k = tr(parts_k^T theta diag(1-M)), under the tilted law of Beta(1,1), 2 lambda."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    total = 0.0
    for ratio, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        atoms = mask.atoms(float(ratio))
        shares = trial.plant(1 - atoms.masks, atoms.masks).flatten(1)
        t = torch.einsum("mnkpd,pd,sd->mnsk", parts, theta, shares)
        values = torch.einsum("mnsk,mkl,mnsl->mns", t, curvature, t).mean((0, 1)) / 2
        total += 2 * ratio * weight * float(values @ atoms.probabilities)
    return total


def _quotient(h: Halves) -> float:
    share = h.own / h.r2
    return int(share.p) / int(share.q)


@claim("park2022:first-layer", fault="M for 1-M in the trace")
def first_layer_identities(trial: Trial) -> Finding:
    derivation = first_layer(fault=trial.plant(None, "role"))
    products: list[Number] = []
    halves: list[Halves] = []
    for net, tiny, ratio in exact_cases():
        p = net.on_data(tiny.size, centred=True)
        products += masked_products(net, p, tiny, trial)
        halves.append(exact_halves(net, p, tiny, ratio, trial, centred=True))
    gaps = [h.r2 - h.own - h.partner for h in halves]
    library = [library_gap(mask, trial) for mask in (law.Mixup(SHAPE), law.Bernoulli(SHAPE))]
    below = all(0 < h.own < h.r2 for h in halves)
    still = one_point()
    net, tiny, ratio = next(exact_cases())
    figures = {
        **derivation_figures(derivation),
        "rational products compared": len(products),
        "product less trace": largest(products),
        "R2 less its two halves": largest(gaps),
        "sample's half / R2": ", ".join(f"{_quotient(h):.3f}" for h in halves),
        "float64, R2 less its two halves": max(gap for gap, _ in library),
        "float64 tolerance": min(allowed for _, allowed in library),
        "R2 on copies of one sample, E[r] kept": str(still.r2),
        "its sample's half": str(still.own),
        "first case": described(tiny, net.on_data(tiny.size, centred=True), ratio),
    }
    zero = all(v == 0 for v in (*products, *gaps)) and all(gap <= allowed for gap, allowed in library)
    reason = (
        "((1-M) * nabla f)^T x = tr((nabla_theta1 f)^T theta1 diag(1-M)) for every f_2, theta_1, x and M (a bias is "
        "part of f_2), and its mean square is the half of G with x_ij x_ik; the half with E[r_j r_k] is the mean "
        "square of the same trace with (df/d(theta_1 x)) r^T for nabla_theta1 f.  The square is of the trace, not of "
        "the entries of theta_1^T nabla f.  With E[r] = 0 and h'' >= 0, R2 bounds the sample's half from above; "
        "where E[r] is not zero it need not: on copies of one sample R2 is 0"
    )
    bounds = below and still.r2 == 0 and still.own > 0
    return Finding(verdict_of(derivation.holds and zero and bounds), reason, Evidence("symbolic", figures))
