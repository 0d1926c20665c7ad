"""Small trained networks and the terms of Corollary 4 on them: sample by sample, and to first order in the parameters.

Two-moons (40 samples, two classes) and digits (32 samples, ten classes), a tanh network of one hidden layer, lambda
uniform; at its start, trained without augmentation, and trained with the Mixup loss over all pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from msda_theory import Augmentation, Beta
from msda_theory.derivatives import contracted_hessian
from msda_theory.expansions.perturbed_erm import prepared
from msda_theory.expansions.perturbed_taylor import at_modified
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import Mixup
from msda_theory.training import ExactObjective
from verify.problems import digits, fit, network, standard_objective, two_moons
from verify.training_runs import Spread

SEEDS = 5
LAW = Beta(1.0, 1.0)
DATA = ("two-moons", "digits")
TRAINED = ("standard", "mixup")
STEPS, ORDER, WEIGHT_DECAY = 40, 4, 1e-3
LOSS = SoftmaxCrossEntropy()


@dataclass(frozen=True)
class Sampled:
    """Numbers of each sample (m,) at x~_i, differentiable in the parameters; el2n is |S - y| at x_i.

    weight is tr Sigma_xx tr H, el2n_modified |S - y~|, r3_printed what r3 is with the slides' tr(K H) for tr(K H+).
    """

    entropy: Tensor
    weight: Tensor
    r1: Tensor
    r2: Tensor
    r3: Tensor
    r3_printed: Tensor
    el2n: Tensor
    el2n_modified: Tensor


@cache
def trained(data: str, how: str, seed: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The network, x and one-hot labels y."""
    x, y = two_moons(40, seed=seed) if data == "two-moons" else digits(32, seed=seed)
    shape, classes = tuple(x.shape[1:]), 2 if data == "two-moons" else 10
    model = network("mlp-tanh", shape, classes, seed=seed)
    one_hot = nn.functional.one_hot(y.long(), classes).double()
    if how == "mixup":
        fit(model, ExactObjective(LOSS, x, one_hot, Augmentation(LAW, Mixup(shape)), order=ORDER), steps=STEPS)
    elif how == "standard":
        fit(model, standard_objective(LOSS, x, one_hot, weight_decay=WEIGHT_DECAY), steps=STEPS)
    return model, x, one_hot


def sampled(data: str, how: str, seed: int) -> Sampled:
    model, x, y = trained(data, how, seed)
    loss, points = prepared(model, LOSS, x, y, LAW)
    at, slopes, (d, e) = at_modified(model, loss, points)
    f = model(points.x)
    p, log_p = torch.softmax(f, -1), torch.log_softmax(f, -1)
    explained = _explained(d, e)
    moved = d @ slopes.mT
    square = torch.einsum("mnk,mkl,mnl->m", moved, at.uu, moved) / 2 - torch.einsum("mnk,mnk->m", e, moved)
    r3 = -torch.einsum("mkk,mk->m", explained, 1 / p) / 2
    hessian = contracted_hessian(model, points.x, at.u)
    return Sampled(
        entropy=-(p * log_p).sum(-1),
        weight=d.square().sum((1, 2)) * (1 - p.square().sum(-1)),
        r1=square - r3,
        r2=torch.einsum("mnd,mde,mne->m", d, hessian, d) / 2,
        r3=r3,
        r3_printed=-torch.einsum("mkl,mkl->m", explained, at.uu) / 2,
        el2n=(torch.softmax(model(x), -1) - y).norm(dim=-1),
        el2n_modified=at.u.norm(dim=-1),
    )


def _explained(d: Tensor, e: Tensor) -> Tensor:
    """K = E^T Pi E, Pi the projection on the columns of D; (m, c, c)."""
    left, values, _ = torch.linalg.svd(d, full_matrices=False)
    kept = values > torch.finfo(d.dtype).eps * max(d.shape[1:]) * values[:, :1]
    fitted = torch.where(kept.unsqueeze(-1), left.mT @ e, 0.0)
    return fitted.mT @ fitted


@cache
def correlations(data: str, how: str, seed: int) -> dict[str, float]:
    """Rank correlations over the samples."""
    with torch.no_grad():
        s = sampled(data, how, seed)
    pairs = {
        "entropy, R1_i": (s.entropy, s.r1),
        "entropy, weight": (s.entropy, s.weight),
        "|S - y~|, |R2_i|": (s.el2n_modified, s.r2.abs()),
        "|S - y~| at x~, EL2N at x": (s.el2n_modified, s.el2n),
    }
    return {name: float(spearmanr(a, b).statistic) for name, (a, b) in pairs.items()}


@cache
def means(data: str, how: str, seed: int) -> dict[str, float]:
    with torch.no_grad():
        s = sampled(data, how, seed)
    return {name: float(getattr(s, name).mean()) for name in ("entropy", "weight", "r1")}


def growth(data: str, how: str, seed: int) -> dict[str, float]:
    """The means after training, as multiples of those at the start of it."""
    start, end = means(data, "start", seed), means(data, how, seed)
    return {name: end[name] / start[name] for name in end}


@cache
def cosines(data: str, how: str, seed: int) -> dict[str, float]:
    """What a small step down a term does to the mean entropy: the cosine of minus its gradient and the entropy's.

    Positive: the step raises the entropy, to first order.
    """
    model, _, _ = trained(data, how, seed)
    s = sampled(data, how, seed)
    down = {
        "R3": s.r3.mean(),
        "printed R3": s.r3_printed.mean(),
        "R1 + R3": (s.r1 + s.r3).mean(),
    }
    entropy = _gradient(model, s.entropy.mean())
    return {f"entropy, -{name}": _cosine(-_gradient(model, term), entropy) for name, term in down.items()}


@cache
def bending(data: str, how: str, seed: int) -> dict[str, float]:
    """The same for a step down R2 and the mean square of the Laplacians."""
    model, _, _ = trained(data, how, seed)
    step = -_gradient(model, sampled(data, how, seed).r2.mean())
    return {"Laplacian, -R2": _cosine(step, _gradient(model, laplacians(data, how, seed).square().mean()))}


def laplacians(data: str, how: str, seed: int) -> Tensor:
    """tr nabla^2 f_k(x~_i), (m, c)."""
    model, x, y = trained(data, how, seed)
    _, points = prepared(model, LOSS, x, y, LAW)
    one = torch.eye(y.shape[1], dtype=y.dtype)
    traces = [torch.einsum("mdd->m", contracted_hessian(model, points.x, row.expand_as(points.y))) for row in one]
    return torch.stack(traces, -1)


def _cosine(step: Tensor, gradient: Tensor) -> float:
    return float(nn.functional.cosine_similarity(step, gradient, 0))


def _gradient(model: nn.Module, value: Tensor) -> Tensor:
    parts = torch.autograd.grad(value, list(model.parameters()), retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


Measure = Callable[[str, str, int], dict[str, float]]


def over_seeds(measure: Measure, name: str, seed: int) -> dict[str, Spread]:
    """A measure on the trained networks of each data set and each way of training."""
    found = {}
    for data, how in product(DATA, TRAINED):
        values = [measure(data, how, seed + k)[name] for k in range(SEEDS)]
        found[f"{data}, {how}"] = Spread(float(np.median(values)), min(values), max(values))
    return found


def shown(what: str, spreads: dict[str, Spread]) -> dict[str, str]:
    return {f"{what}, {where}": f"{s.median:.2f} ({s.low:.2f} to {s.high:.2f})" for where, s in spreads.items()}
