"""One radius for a whole set of networks: the constants of Zhang et al., Theorems 3.2 and B.1, on a sample.

Data centred, labels 0 and 1, the logistic loss, every network of the set in Theta with f = grad f . x and zero Hessian.
The good samples have |cos(grad f(x_i), x_i)| >= tau for all networks of the set; p^ is their share.  For one network

    kappa    least h''                 kappa_1, kappa_2    least and largest |h' - y|
    tau'     least |grad f| over the good samples          tau''    largest |grad f| over all

and with these, the least over the set of

    R~ = tau min{ 1/sqrt(1 + o c tau''^2 / (kappa tau'^2)), 1/(1 + o kappa_2 tau'' / (kappa_1 tau')) },  o = (1-p^)/p^,

c the largest h'', for every network of the set  L~_mix >= mean l~_adv(R~ min_i |x_i| E_D~[1-lambda]).  For Theorem 3.2
tau' = tau''.  Printed is R~ with c = 1/4, and p_tau/2 for p^, where p_tau is the probability of a good sample:
p^ >= p_tau/2 has probability at least 1 - exp(-n p_tau^2/2) for independent samples (Hoeffding).

Derivation: with a_i = |h' - y| |grad f_i|, R1 >= E_D~[1-lambda] min|x| mean(a_i |cos_i|).  The sum of a_i |cos_i| is at
least tau times that of a_i over the good samples, and the bad a_i add up to at most o kappa_2 tau'' / (kappa_1 tau')
times the good ones; R2 in the same way, with squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._validation import require_data, require_finite_positive, require_kind, require_ratio
from msda_theory.bounds._samples import Slopes, require_binary, slopes
from msda_theory.bounds.adversarial import in_theta, require_homogeneous
from msda_theory.bounds.radii import require_zero_hessian
from msda_theory.losses import Logistic
from msda_theory.ratios import RatioLaw

LARGEST_CURVATURE = 0.25  # of the logistic function, at 0


@dataclass(frozen=True)
class SharedConstants:
    """The constants of each of k networks, (k,), on one sample; `good` (m,) as above; `smallest_input` min_i |x_i|."""

    tau: float
    good: Tensor
    kappa: Tensor
    kappa_1: Tensor
    kappa_2: Tensor
    tau_1: Tensor
    tau_2: Tensor
    curvature: Tensor
    smallest_input: float

    @property
    def share(self) -> float:
        """p^, the share of good samples."""
        return float(self.good.double().mean())

    def cosine(self) -> float:
        """R~ on this sample; 0 where no sample is good."""
        return self._cosine(self.share, self.curvature)

    def printed_cosine(self, probability: float) -> float:
        """R~ as printed (Theorems 3.2 and B.1), `probability` p_tau in (0, 1]; a bound where p^ >= p_tau/2."""
        require_ratio("probability", probability)
        require_finite_positive("probability", probability)
        return self._cosine(probability / 2, torch.full_like(self.curvature, LARGEST_CURVATURE))

    def radius(self, ratio: RatioLaw) -> float:
        """R~ min_i |x_i| E_D~[1-lambda], a length in l2, for Mixup under `ratio`."""
        require_kind("ratio", ratio, RatioLaw)
        return self.cosine() * self.smallest_input * ratio.tilted().moment(0, 1)

    def _cosine(self, share: float, curvature: Tensor) -> float:
        if share == 0 or not bool(self.good.any()):
            return 0.0
        odds, spread = (1 - share) / share, self.tau_2 / self.tau_1
        squared = 1 / (1 + odds * curvature * spread**2 / self.kappa)
        linear = 1 / (1 + odds * self.kappa_2 * spread / self.kappa_1)
        return self.tau * float(torch.minimum(squared.sqrt(), linear).min())


def shared_constants(models: Sequence[Callable[[Tensor], Tensor]], x: Tensor, y: Tensor, tau: float) -> SharedConstants:
    """The constants of the networks `models` on x (m, ...), centred, and y (m,) or (m, 1) in {0, 1}; 0 < tau < 1.

    A sample that is 0, or at which a gradient is, has no cosine and is not good.

    Raises
    ------
    ValueError, TypeError
        as `exact_loss` does; for data whose mean is not 0 to rounding and labels other than 0 and 1; naming the
        network that is not in Theta at some sample, has a Hessian, or is not positively homogeneous.
    """
    if not models:
        raise ValueError("models is empty: needed is at least one network")
    if not 0 < tau < 1:
        raise ValueError(f"tau={tau!r}: needed is a number in (0, 1)")
    require_data(x, y)
    _require_centred(x)
    each = [_slopes(model, k, x, y) for k, model in enumerate(models)]
    f, gradient = torch.stack([at.f for at in each]), torch.stack([at.gradient for at in each])
    norms, lengths = each[0].x.norm(dim=1), gradient.norm(dim=2)
    size = lengths * norms
    good = ((gradient * each[0].x).sum(2).abs() >= tau * size).logical_and(size > 0).all(0)
    residual = torch.sigmoid((1 - 2 * each[0].y) * f)  # |g - y|, without cancellation where f is large
    curvature = torch.sigmoid(f) * torch.sigmoid(-f)
    return SharedConstants(
        tau,
        good,
        curvature.amin(1),
        residual.amin(1),
        residual.amax(1),
        lengths.masked_fill(~good, torch.inf).amin(1),
        lengths.amax(1),
        curvature.amax(1),
        float(norms.min()),
    )


def _slopes(model: Callable[[Tensor], Tensor], k: int, x: Tensor, y: Tensor) -> Slopes:
    with torch.no_grad():
        at = slopes(model, x, y, Logistic())
    require_binary(at.y)
    require_homogeneous(model, x)
    require_zero_hessian(model, x)
    inside = in_theta(model, x, y)
    if not bool(inside.all()):
        i = int(inside.logical_not().nonzero()[0])
        raise ValueError(
            f"models[{k}] has f = {float(at.f[i]):.6g} at sample {i}, whose label is {float(at.y[i]):g}: needed are "
            f"networks in Theta, y f + (y-1) f >= 0"
        )
    return at


def _require_centred(x: Tensor) -> None:
    """The mean of m numbers is off by at most m eps times their largest, and so are numbers made from it."""
    flat = x.flatten(1)
    mean, allowed = flat.mean(0).abs().max(), 4 * len(x) * torch.finfo(x.dtype).eps * flat.abs().max()
    if bool(mean > allowed):
        raise ValueError(f"x has a mean of up to {float(mean):.3g} a coordinate: needed is centred data, x - x.mean(0)")
