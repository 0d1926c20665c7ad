"""The standard loss of sec. 2.1; E[a], R of (4), the scaled loss (5) and Listing 1."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import sympy as sp
import torch
from flint import fmpq
from torch import Tensor, nn

from msda_theory import Augmentation, Beta, masks
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import MixupEObjective
from msda_theory.symbolic import tilted_moment
from msda_theory.training import ExactObjective
from paper_checks.exact_cases import readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.mixupe2023.cases import DEGREES, LAW_NAMES, LAWS, described, problem
from paper_checks.registry import claim
from verify.problems import digits, network
from verify.tiny_all_orders import expansion, mixup_loss
from verify.tolerances import rounding

a, b = sp.symbols("alpha beta", positive=True)


@claim("mixupe2023:std-loss", fault="1/n^2 kept in the corrected loss")
def standard_loss(trial: Trial) -> Finding:
    """Theorem 1 on polynomials, where it has no remainder, with L_n^std = 1/n^2 sum_i as printed, and 1/n."""
    cases = [(problem(k, *degrees), law, max(degrees)) for k in (1, 2) for degrees in DEGREES for law in LAWS]

    def gaps(shrink: Callable[[int], fmpq]) -> list[fmpq]:
        found = []
        for p, law, order in cases:
            terms = expansion(p, law, order) - p.standard
            found.append(mixup_loss(p, law) - (shrink(len(p.x)) * p.standard + terms))
        return found

    printed = gaps(lambda n: fmpq(1, n))
    right = gaps(trial.plant(lambda n: fmpq(1), lambda n: fmpq(1, n)))
    p = cases[0][0]
    figures = {
        "printed: Mixup loss less Theorem 1": readable(printed[0]),
        "(1 - 1/n) times the mean loss": readable((1 - fmpq(1, len(p.x))) * p.standard),
        "counterexample": f"{LAW_NAMES[0]}, {described(p)}",
        "rational cases that differ": f"{sum(g != 0 for g in printed)} of {len(printed)}",
    }
    corrected = Corrected(
        "L_n^std = 1/n sum_i l(theta, z_i)",
        verdict_of(all(g == 0 for g in right)),
        Evidence("exact", {"rational cases": len(right), "largest gap": readable(max(right, key=abs))}),
    )
    reason = (
        "n losses divided by n^2 are 1/n of their mean; with it Theorem 1 is off by (1 - 1/n) times the mean loss, "
        "also where nothing is mixed"
    )
    return Finding(verdict_of(all(g == 0 for g in printed)), reason, Evidence("exact", figures), corrected)


@claim("mixupe2023:ea", fault="lambda for 1-lambda")
def mean_share(trial: Trial) -> Finding:
    """For every alpha > 0; D~ of Beta(alpha, alpha) is Beta(alpha+1, alpha)."""
    gap = sp.simplify(tilted_moment(a, a, *trial.plant((0, 1), (1, 0))) - (1 - (a + 1) / (2 * a + 1)))
    general = sp.factor(tilted_moment(a, b, 0, 1))
    figures = {"gap": str(gap), "for any alpha, beta": str(general)}
    reason = "1 - (alpha+1)/(2 alpha+1) = alpha/(2 alpha+1) is the mean of a for every alpha, lambda under D~"
    return Finding(verdict_of(gap == 0), reason, Evidence("symbolic", figures))


@claim("mixupe2023:limit", fault="lambda for 1-lambda")
def vanishing(trial: Trial) -> Finding:
    """0 <= E[a] <= 2 min(alpha, beta): the numerators of 2 alpha - E[a] and 2 beta - E[a] have no negative sign."""
    mean = tilted_moment(a, b, *trial.plant((0, 1), (1, 0)))
    fractions = [sp.fraction(sp.cancel(2 * bound - mean)) for bound in (a, b)]
    polynomials = [sp.Poly(part, a, b) for fraction in fractions for part in fraction]
    bounded = all(c >= 0 for p in polynomials for c in p.coeffs())
    figures = {"E[a]": str(sp.factor(mean)), "2 beta - E[a]": str(sp.factor(2 * b - mean)), "bounded": str(bounded)}
    reason = (
        "at fixed theta the sum of |q| does not depend on alpha and beta, and E[a] = 2 alpha beta / ((alpha+beta) "
        "(alpha+beta+1)) <= 2 min(alpha, beta): R vanishes along every path, if but one of them does"
    )
    return Finding(verdict_of(bounded), reason, Evidence("symbolic", figures))


def batch(seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A tanh network of ten outputs and twenty digits, as classes."""
    x, y = digits(20, seed=seed)
    return network("mlp-tanh", (8, 8), 10, seed=seed), x - x.mean(0), y


def gradient_of(value: Tensor, model: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])


def largest_gap(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> float:
    """Of values and gradients, as a share of their size."""
    return max(float((p - q).abs().max() / q.abs().max()) for p, q in zip(first, second, strict=True))


#: a backward pass through 64 inputs, 32 units, 10 outputs and 20 samples, several hundred operations deep
RELATIVE = rounding(torch.float64, 1.0, 10_000)


@claim("mixupe2023:eq4-5", fault="kappa the other way up")
def scaled_loss(trial: Trial) -> Finding:
    """|kappa (L + eta R)| = |L| by algebra; and the library's objective, with L and R written out by autograd."""
    sizes = [_size_gap(signs, inverted=trial.faulty) for signs in product((1, -1), repeat=2)]
    model, x, y = batch(trial.seed)
    loss, ratio, eta = SoftmaxCrossEntropy(), Beta(0.7, 1.5), 0.5
    base = ExactObjective(loss, x, y, Augmentation(ratio, masks.Mixup((8, 8))))
    found = MixupEObjective(base, loss, x, y, ratio, eta=eta)(model)
    mixup = base(model)
    whole = mixup + eta * _written_out(model, x, y, ratio)
    factor = trial.plant(mixup / whole, whole / mixup).detach()
    gap = largest_gap((found.detach(), gradient_of(found, model)), (mixup.detach(), factor * gradient_of(whole, model)))
    figures = {
        "|kappa (L + eta R)| - |L|, for each sign": ", ".join(map(str, sizes)),
        "value against L, gradient against kappa grad(L + eta R)": gap,
        "allowed": RELATIVE,
        "kappa": float(factor),
    }
    reason = (
        "the scaled loss has the size of L wherever L + eta R is not 0, and the value of L for these losses, which "
        "are not negative, as R is not; its gradient is kappa times that of L + eta R"
    )
    return Finding(verdict_of(not any(sizes) and gap <= RELATIVE), reason, Evidence("symbolic", figures))


def _size_gap(signs: tuple[int, ...], *, inverted: bool) -> sp.Expr:
    """|kappa (L + eta R)| - |L| for L and L + eta R of the given signs; `inverted` turns kappa over."""
    original, total = (sign * size for sign, size in zip(signs, sp.symbols("L T", positive=True), strict=True))
    kappa = sp.Abs(total) / sp.Abs(original) if inverted else sp.Abs(original) / sp.Abs(total)
    return sp.simplify(sp.Abs(kappa * total) - sp.Abs(original))


def _written_out(model: nn.Module, x: Tensor, y: Tensor, ratio: Beta) -> Tensor:
    """(4) with (1): E[a]/n sum_i |(g(f(x_i)) - y_i)^T df(x_i) (E[xbar] - x_i)|, the derivatives one by one."""
    inputs = x.clone().requires_grad_()
    f, away = model(inputs), x.mean(0) - x
    rows = [torch.autograd.grad(f[:, k].sum(), inputs, create_graph=True)[0] for k in range(f.shape[1])]
    along = torch.stack([(row * away).flatten(1).sum(1) for row in rows], 1)
    q = ((torch.softmax(f, 1) - nn.functional.one_hot(y, 10)) * along).sum(1)
    alpha, beta = ratio.a, ratio.b
    share = alpha / (alpha + beta) * beta / (alpha + beta + 1) + beta / (alpha + beta) * alpha / (alpha + beta + 1)
    return share * q.abs().mean()


def listing_1(
    net: nn.Module, x1: Tensor, y1: Tensor, x2: Tensor, y2: Tensor, lam: float, alpha: float, mixup_eta: float,
    *, detached: bool = False, mixed_label: bool = False,
) -> Tensor:  # fmt: skip
    """Listing 1 line by line; `detached` holds b constant, `mixed_label` plants the mixed label in it."""
    lam_model_mean = (alpha + 1) / (alpha + 1 + alpha)
    x = lam * x1 + (1.0 - lam) * x2
    y = lam * y1 + (1.0 - lam) * y2
    loss = nn.functional.cross_entropy(net(x), y)
    loss_scale = torch.abs(loss.detach().clone())
    f = net(x1)
    b = (y if mixed_label else y1) - torch.softmax(f, dim=1)
    b = b.detach() if detached else b
    loss_new = torch.sum(f * b, dim=1)
    loss_new = (1.0 - lam_model_mean) * torch.sum(torch.abs(loss_new)) / len(x1)
    loss = loss + mixup_eta * loss_new
    loss_new_scale = torch.abs(loss.detach().clone())
    return (loss_scale / loss_new_scale) * loss


@claim("mixupe2023:listing", fault="the mixed label in the added term")
def listing(trial: Trial) -> Finding:
    """Values and gradients of the listing and of (4)-(5) with (2), for three batches, ratios and alphas."""
    gaps, detached = [], []
    for k, alpha in enumerate((0.2, 1.0, 4.0)):
        seed = trial.seed + k
        model, x, y = batch(seed)
        rng, eta = np.random.default_rng(seed), 0.1
        labels, order, lam = (
            nn.functional.one_hot(y, 10).double(),
            rng.permutation(len(x)),
            float(rng.beta(alpha, alpha)),
        )
        data = x, labels, x[order], labels[order], lam, alpha, eta
        printed = listing_1(model, *data, mixed_label=trial.faulty)

        def mixup(net: Callable[[Tensor], Tensor], data: tuple = data) -> Tensor:
            x1, y1, x2, y2, lam = data[:5]
            return SoftmaxCrossEntropy()(net(lam * x1 + (1 - lam) * x2), lam * y1 + (1 - lam) * y2).mean()

        stated = MixupEObjective(
            mixup, SoftmaxCrossEntropy(), x, labels, Beta(alpha, alpha), eta=eta, approximate=True
        )(model)
        right = stated.detach(), gradient_of(stated, model)
        gaps.append(largest_gap((printed.detach(), gradient_of(printed, model)), right))
        held = listing_1(model, *data, detached=True)
        detached.append(largest_gap((held.detach(), gradient_of(held, model)), right))
    figures = {
        "largest gap of value and gradient": max(gaps),
        "allowed": RELATIVE,
        "gap of the gradient if b is held constant": max(detached),
    }
    reason = (
        "read with torch.abs for torch(abs(..)) and loss_function the mean cross-entropy, the listing is (5) for a "
        "batch and one drawn lambda, R its approximate version with (2); it differentiates g in (2) too, as (4) does"
    )
    return Finding(verdict_of(max(gaps) <= RELATIVE), reason, Evidence("deterministic", figures))
