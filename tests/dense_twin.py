"""Second-order terms from dense Jacobians and Hessians: the naive twin of `expansions.along`."""

import torch

from msda_theory.derivatives import contracted_hessian, jacobian
from msda_theory.expansions import Terms


def scatter(flat, mean):
    """C_i = E_r[(r-x_i)(r-x_i)^T] with E_r[r] = mean: (m, d, d)."""
    partners = flat - mean
    spread = partners.T @ partners / len(flat)
    away = mean - flat
    return spread + away.unsqueeze(-1) * away.unsqueeze(-2)


def second_moments(moments, x, *, centred=False):
    """E[v] (m, d) and E[v v^T] (m, d, d) of v = N * (r - x_i)."""
    flat = x.flatten(1)
    mean = torch.zeros_like(flat[0]) if centred else flat.mean(0)
    copies = flat.shape[1] // len(moments.first)
    first, second = moments.first.to(x).repeat(copies), moments.second.to(x).repeat(copies, copies)
    return first * (mean - flat), second * scatter(flat, mean)


def dense_terms(model, loss, x, labels, moments, *, centred=False):
    drift, moved = second_moments(moments, x, centred=centred)
    f = model(x).reshape(labels.shape)
    residual, slopes = loss.h1(f) - labels, jacobian(model, x)
    curved = contracted_hessian(model, x, residual)
    r1 = torch.einsum("mk,mkd,md->m", residual, slopes, drift).mean()
    r2 = torch.einsum("mkl,mkd,mde,mle->m", loss.h2(f), slopes, moved, slopes).mean() / 2
    r3 = torch.einsum("mde,mde->m", moved, curved).mean() / 2
    return Terms(loss(f, labels).mean(), r1, r2, r3, not bool(curved.any()))
