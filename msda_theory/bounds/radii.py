"""Radii of attacks against which the approximate MSDA loss is a bound, for any mask law; and those printed.

For a network with zero Hessian about the data, labels 0 and 1 and the logistic loss, Theorem 1 gives, N the share of
the partner that a sample sees over both roles, n = E[N], z_i = n * (x_i - xbar) its seen deviation,

    eta_i = (2 y_i - 1) grad f_i . z_i / |grad f_i|,
    R1 = 1/m  sum_i |h'(f_i) - y_i| |grad f_i| eta_i,
    R2 = 1/2m sum_i h''(f_i) E[(grad f_i . (N * (r - x_i)))^2]  >=  1/2m sum_i h''(f_i) |grad f_i|^2 eta_i^2,

since h'(f_i) - y_i has the sign of 1 - 2 y_i, and E[z^2] >= E[z]^2.  So wherever all eta_i >= 0,

    L~_MSDA  >=  1/m sum_i l~_adv(eta_i),

whatever the mean of the data, the biases of the network and the mask law.  For Mixup, centred data and f = grad f . x
in Theta, eta_i = E_D~[1-lambda] R_i |x_i|: Theorems 3.1 and 3.3 of Zhang et al.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from rich.console import Group, RenderableType
from rich.table import Table
from torch import Tensor

from msda_theory._shown import Shown
from msda_theory._validation import require_data, require_kind
from msda_theory.augmentation import MOMENT_RTOL, Augmentation
from msda_theory.bounds._samples import require_binary, slopes
from msda_theory.derivatives import jacobian
from msda_theory.losses import Logistic
from msda_theory.quadrature import Array


@dataclass(frozen=True)
class Radii(Shown):
    """Radii for every sample, (m,), lengths in l2 for `eta`, and the printed eps, lengths over sqrt(d).

    eta : the radii for which the bound is proved; a negative one is no radius      cosines : R_i = |cos(grad f_i, x_i)|
    covered : E_D~,M s(M, x_i) (Park et al., App. C)      share : E_D~[1-lambda]     c_x : min_i |x_i| / sqrt(d)
    A gradient or a sample that is zero has cosine 0, and a gradient that is zero eta = 0.
    """

    eta: Tensor
    cosines: Tensor
    covered: Tensor
    share: float
    c_x: float
    size: int

    @property
    def guaranteed(self) -> bool:
        """Whether the bound is proved: every eta_i >= 0."""
        return bool((self.eta >= 0).all())

    @property
    def smallest(self) -> float:
        """R = min_i R_i."""
        return float(self.cosines.min())

    @property
    def eps(self) -> Tensor:
        """eps_i = R_i c_x E_D~[1-lambda], as printed (Zhang et al., Theorems 3.1 and 3.3)."""
        return self.cosines * (self.c_x * self.share)

    @property
    def eps_mix(self) -> float:
        """R c_x E_D~[1-lambda], as printed."""
        return self.smallest * self.c_x * self.share

    @property
    def eps_cut(self) -> float:
        """c_x min(R E_D~[1-lambda], min_i E s(M, x_i)), as printed (Park et al., Theorem 3), s with its sign.

        c_x is the largest with |x_i| >= c_x sqrt(d), as the proof has it; the theorem prints <=.
        """
        return self.c_x * min(self.smallest * self.share, float(self.covered.min()))

    def __rich__(self) -> RenderableType:
        table = Table("", "smallest", "median", "largest", title="radii", title_justify="left")
        rows = {"eta_i, proved": self.eta, "R_i": self.cosines, "eps_i sqrt(d), printed": self.eps * self.size**0.5}
        for name, values in rows.items():
            table.add_row(name, *(f"{float(v):.4g}" for v in (values.min(), values.median(), values.max())))
        return Group(table, self._said())

    def _said(self) -> str:
        scale = self.size**0.5
        printed = f"printed: eps_mix sqrt(d) = {self.eps_mix * scale:.4g}, eps_cut sqrt(d) = {self.eps_cut * scale:.4g}"
        if self.guaranteed:
            least = float(self.eta.min())
            return f"{printed}\nL~_MSDA >= mean of l~_adv(eta_i), and of l~_adv({least:.4g}), the least of them"
        count, at = int((self.eta < 0).sum()), int(self.eta.argmin())
        return f"{printed}\nno bound: {count} of {len(self.eta)} samples have eta_i < 0, the least at sample {at}"


def robust_radii(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, augmentation: Augmentation) -> Radii:
    """eta_i = sum_j n_j (2 y_i - 1) d_j f(x_i) (x_ij - xbar_j) / |grad f(x_i)| and the printed radii.

    For any mask law and label rule; data with any mean; labels 0 and 1; any network whose Hessian is zero at the
    data, biases and all.  Detached, in x's dtype.

    Raises
    ------
    ValueError, TypeError
        as `exact_loss` does; for labels other than 0 and 1; for K > 1 outputs; for a network with a Hessian.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time.

    >>> from msda_theory import Beta, masks
    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0])
    >>> radii = robust_radii(lambda x: 2 * x, x, y, Augmentation(Beta(1.0, 1.0), masks.Mixup((1,))))
    >>> radii.eta, radii.guaranteed
    (tensor([0.3333, 0.3333]), True)
    """
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    with torch.no_grad():
        at = slopes(model, x, y, Logistic())
    require_binary(at.y)
    require_zero_hessian(model, x)
    given = mean_given(augmentation).to(x).repeat(at.x.shape[1] // augmentation.mask.size)
    side, length, norm = 2 * at.y - 1, at.gradient.norm(dim=1), at.x.norm(dim=1)
    eta = _over(side * (at.gradient * seen_deviations(x, augmentation)).sum(1), length)
    cosines = _over((at.gradient * at.x).sum(1).abs(), length * norm)
    covered = _over((at.gradient * given * at.x).sum(1), length * norm)
    share = augmentation.ratio.tilted().moment(0, 1)
    size = at.x.shape[1]
    return Radii(eta, cosines, covered, share, float(norm.min()) / size**0.5, size)


def seen_deviations(x: Tensor, augmentation: Augmentation) -> Tensor:
    """z_i = n * (x_i - xbar), (m, d), in x's dtype: the mean move of a sample is -z_i."""
    flat = x.flatten(1)
    first = augmentation.seen().first.to(x).repeat(flat.shape[1] // augmentation.mask.size)
    return first * (flat - flat.mean(0))


def mean_given(augmentation: Augmentation) -> Tensor:
    """E_D~[1 - M_j], (d,): E_D~[1-lambda] where E[M] = lambda 1."""
    tilted = replace(augmentation, ratio=augmentation.ratio.tilted())

    def average(order: int) -> tuple[Array, float]:
        total = torch.zeros(tilted.mask.size, dtype=torch.float64)
        for law, ratio, first, second in tilted.nodes(order):
            total += (first + second) * (1 - law.mean(ratio).flatten())
        return total.numpy(), 1.0

    values, _ = tilted.converged(average, MOMENT_RTOL, f"the mean of {augmentation.mask!r}")
    return torch.from_numpy(values)


def require_zero_hessian(model: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """ValueError where the Hessian, applied to a direction drawn at random, is not zero at some sample."""
    at = x.detach().clone().requires_grad_()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(x)
    with torch.enable_grad():
        along = (jacobian(model, at).squeeze(1) * direction.flatten(1)).sum()
        if not along.requires_grad:
            return
        (turned,) = torch.autograd.grad(along, at, allow_unused=True)
    if turned is not None and bool(turned.any()):
        at_sample = int(turned.flatten(1).abs().amax(1).argmax())
        raise ValueError(
            f"model: {type(model).__name__} has a Hessian at sample {at_sample}; the radii are for networks without: "
            f"linear layers, ReLU, leaky ReLU, max-pooling"
        )


def _over(value: Tensor, size: Tensor) -> Tensor:
    """value / size, 0 where size is 0."""
    return torch.where(size > 0, value / size.clamp_min(torch.finfo(size.dtype).tiny), torch.zeros_like(value))
