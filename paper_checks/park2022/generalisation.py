"""Theorem 4(a): the class of generalised linear models that the MSDA regulariser bounds.

Reading: (1-M) Sigma (1-M)^T has M as a diagonal matrix, so that Sigma^(M)_jk = E[(1-M_j)(1-M_k)] Sigma_jk; x Var(M) x^T
likewise, averaged over x; L L_A is the Lipschitz constant of the loss and B its range, as in Zhang et al., Lemma A.1.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from msda_theory import Augmentation, Beta, masks
from msda_theory.bounds import masked_covariance, masked_glm_bound
from msda_theory.losses import Logistic
from paper_checks.counterexamples import load
from paper_checks.counterexamples.recheck import refutes
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.expected_complexity import list_complexity
from verify.violations import search

POINTS, SIZE, MASKS = 3, 2, 2
SHAPES = (POINTS * SIZE, MASKS * SIZE, 1, 1, 1)  # x, the masks, the weight of the first, log gamma per trial, u
AUGMENTATION = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))


def bounded_set() -> Tensor:
    """A finite Theta (functions, SIZE): 24 directions, 12 lengths up to 4, and 0."""
    angles, lengths = torch.arange(24) * (2 * math.pi / 24), torch.logspace(-1.5, math.log10(4.0), 12)
    grid = torch.cartesian_prod(lengths, angles).double()
    ring = grid[:, :1] * torch.stack([grid[:, 1].cos(), grid[:, 1].sin()], -1)
    return torch.cat([torch.zeros(1, SIZE, dtype=torch.float64), ring])


def drawn_masks(rows: Tensor, weight: Tensor) -> Tensor:
    """E[N_j N_k] (cases, SIZE, SIZE) of two masks N = 1-M in (0, 1)^SIZE."""
    shares = rows.sigmoid().reshape(-1, MASKS, SIZE)
    chance = torch.cat([weight.sigmoid(), 1 - weight.sigmoid()], 1)
    return torch.einsum("cm,cmj,cmk->cjk", chance, shares, shares)


def glm_sides(rows: Tensor, theta: Tensor, *, as_printed: bool) -> tuple[Tensor, Tensor]:
    """E_S Rad of {theta : a t <= gamma} and the bound, for binomial models, A = e^(3u) log(1 + e^.).

    rho is the largest with a^2 >= rho s on Theta: the hypothesis is met.
    """
    x, shares, weight, log_gamma, u = rows.split(SHAPES, 1)
    points, trials = x.reshape(-1, POINTS, SIZE), (3 * u).exp()
    second = points.mT @ points / POINTS
    masked = drawn_masks(shares, weight) * second
    outputs = points @ theta.T
    a = trials * (outputs.sigmoid() * (-outputs).sigmoid()).mean(1)
    s, t = (torch.einsum("tj,cjk,tk->ct", theta, matrix, theta) for matrix in (second, masked))
    rho = (a[:, 1:].square() / s[:, 1:]).amin(1)
    gamma = trials.squeeze(1) * log_gamma.squeeze(1).exp()
    level = (gamma / rho).sqrt() if as_printed else (gamma**2 / rho) ** (1 / 3)
    trace = torch.linalg.solve(masked, second).diagonal(dim1=-2, dim2=-1).sum(-1)
    return list_complexity(outputs, a * t <= gamma.unsqueeze(1)), (level * (trace + SIZE) / 2).sqrt()


def one_coordinate(trials: int) -> dict[str, Any]:
    """x = +-1, |theta| <= 1, n = 100, gamma the least for which the class is all of it: E_S Rad and each bound."""
    one, n = torch.ones(1, 1, dtype=torch.float64), 100
    curvature = trials * float(Logistic().h2(one).squeeze())
    ratio = AUGMENTATION.ratio.tilted()
    masked = masked_covariance(AUGMENTATION, one)
    gamma, rho = curvature * (float(masked) + ratio.var), curvature**2
    last_line = (gamma / rho) ** 0.25 * (math.sqrt(1 / float(masked)) + 1) / math.sqrt(n)
    return {
        "E_S Rad": math.comb(n, n // 2) / 2**n,
        "the statement's bound": masked_glm_bound(gamma, rho, one, masked, n, as_printed=True),
        "the proof's last line": last_line,
        "corrected bound": masked_glm_bound(gamma, rho, one, masked, n),
        "(theta^T Sigma theta)(theta^T Sigma^(M) theta), gamma/rho": f"{float(masked):.4g}, {gamma / rho:.4g}",
        "product above gamma/rho": float(masked) > gamma / rho,
    }


def kept_pixel() -> tuple[float, float]:
    """Printed and derived bound for Sigma = 1 and a second pixel that no mask replaces, Sigma^(M) = diag(1/6, 0).

    gamma = rho = 1, n = 100.
    """
    sigma = torch.eye(2, dtype=torch.float64)
    masked = torch.diag(torch.tensor([1 / 6, 0.0], dtype=torch.float64))
    printed, derived = (masked_glm_bound(1.0, 1.0, sigma, masked, 100, as_printed=p) for p in (True, False))
    return printed, derived


def learned_signs(trials: int, seed: int) -> dict[str, float]:
    """The counterexample: x = +-e_j in R^200, y = c for + and 0 for -, theta_j = 1 on the sample and -1 elsewhere.

    L, L_m and the bound with the last line's rank, in units of c; 100 coordinates of theta are 1.
    """
    n, d = 100, 200
    drawn = torch.randint(0, d, (n,), generator=torch.Generator().manual_seed(seed))
    spare = [j for j in range(d) if j not in set(drawn.tolist())]
    theta = torch.ones(d, dtype=torch.float64)
    theta[spare[: d - n]] = -1
    losses = Logistic()(theta.unsqueeze(1), torch.ones(d, 1, dtype=torch.float64))
    curvature = trials * float(Logistic().h2(theta.unsqueeze(1)).mean())
    sigma = torch.eye(d, dtype=torch.float64) / d
    masked = masked_covariance(Augmentation(AUGMENTATION.ratio, masks.Mixup((d,))), sigma)
    gamma, rho = curvature / 4, curvature**2
    trace = float(torch.linalg.solve(masked, sigma).trace())
    complexity = (gamma / rho) ** 0.25 * (math.sqrt(trace) + d) / math.sqrt(n)
    return {
        "L": float(losses.mean()),
        "L_m": float(losses[drawn].mean()),
        "regulariser over gamma": curvature * float(theta @ masked @ theta + theta @ sigma @ theta / 18) / gamma,
        "printed bound on L - L_m": 2 * complexity + math.sqrt(math.log(20) / (2 * n)),
    }


@claim("park2022:thm4a", fault="(gamma/rho)^(1/4) kept in the corrected bound")
def masked_glm(trial: Trial) -> Finding:
    example, one, kept = load("park2022:thm4a"), one_coordinate(10**4), kept_pixel()
    learned = learned_signs(10**9, trial.seed)
    above = (
        learned["L"] - learned["L_m"] > learned["printed bound on L - L_m"] and learned["regulariser over gamma"] <= 1
    )
    small = max(one["the statement's bound"], one["the proof's last line"]) < one["E_S Rad"]
    fails = refutes(example) and above and small and math.isinf(kept[1])
    figures = {
        "L - L_m above the largest reading, every sample of size 100: certified": refutes(example),
        **{f"x = +-e_j, 10^9 trials, in their units: {name}": value for name, value in learned.items()},
        **{f"x = +-1, 10^4 trials: {name}": value for name, value in one.items()},
        "a pixel that is never replaced: printed and derived bound": ", ".join(map(str, kept)),
    }
    reason = (
        "the product constraint does not follow: retentiveness gives (theta^T Sigma theta)(theta^T Sigma^(M) theta)^2 "
        "<= gamma^2/rho. A -> cA takes gamma to c gamma and rho to c^2 rho and leaves the class, while "
        "(gamma/rho)^(1/4) falls: every example is one for c large (A = c log(1 + e^u), binomial with c trials). The "
        "printed constraint gives sqrt(tr) + sqrt(rank), or sqrt(tr + rank) for a union, not the last line's sqrt(tr) "
        "+ rank; with (gamma/rho)^(1/4) all fail. Where Sigma^(M) is singular and Sigma is not, the pseudo-inverse "
        "hides a free direction. Retentiveness without min{1, .} cannot hold for bounded A'' and unbounded theta: "
        "Theta is bounded. 1/lambda-bar^2 and x Var(M) x^T are dropped, the second rightly; a box regularises with "
        "its moments over both roles, not those under D~. If L may depend on everything, the statement says nothing"
    )
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), _right_level(trial, one))


def _right_level(trial: Trial, one: dict[str, Any]) -> Corrected:
    theta = bounded_set()
    found = search(
        lambda rows: glm_sides(rows, theta, as_printed=trial.faulty),
        sum(SHAPES),
        trials=500,
        ascents=8,
        steps=100,
        seed=trial.seed,
    )
    holds = found.worst <= 0 and one["E_S Rad"] <= one["corrected bound"]
    statement = (
        "E_S Rad <= (gamma^2/rho)^(1/6) sqrt((tr(Sigma^(M)+ Sigma) + rank(Sigma)) / n), if x lies in the range of "
        "Sigma^(M) and (E A''(theta.x))^2 >= rho theta^T Sigma theta on Theta: one of the two forms is at most "
        "(gamma^2/rho)^(1/3), and the square of the larger support is at most the sum of both. So L(theta) <= "
        "L_m(theta) + 2K times it + B sqrt(log(1/delta) / (2n)), K = sup |A' - y|, B the range of the loss"
    )
    return Corrected(
        statement, verdict_of(holds), Evidence("deterministic", found.figures("search over data, masks, A, n = 2"))
    )
