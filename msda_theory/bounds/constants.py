"""One radius for a whole set of networks: the constants of Zhang et al., Theorems 3.2 and B.1, for any mask law.

Labels 0 and 1, the logistic loss, networks with zero Hessian about the data.  z_i = n * (x_i - xbar) are the seen
deviations, n = E[N] over both roles (`radii`), and every network of the set has all (2 y_i - 1) grad f_i . z_i >= 0.
The good samples have |cos(grad f_i, z_i)| >= tau for all networks of the set; p^ is their share.  For one network

    kappa    least h''                 kappa_1, kappa_2    least and largest |h' - y|
    tau'     least |grad f| over the good samples          tau''    largest |grad f| over all

and with these, the least over the set of

    R~ = tau min{ 1/sqrt(1 + o c tau''^2 / (kappa tau'^2)), 1/(1 + o kappa_2 tau'' / (kappa_1 tau')) },  o = (1-p^)/p^,

c the largest h'', for every network of the set  L~ >= mean l~_adv(R~ min_i |z_i|), whatever the mean of the data, the
biases and the mask law.

For Mixup and centred data z_i = E_D~[1-lambda] x_i: the cosines are those of grad f_i and x_i, the radius is
R~ min_i |x_i| E_D~[1-lambda], and for f = grad f . x the networks are those in Theta.  These are Theorem B.1, and with
tau' = tau'' Theorem 3.2.  Printed is R~ with c = 1/4, and p_tau/2 for p^, where p_tau is the probability of a good
sample: p^ >= p_tau/2 has probability at least 1 - exp(-n p_tau^2/2) for independent samples (Hoeffding).

Derivation: the radii eta_i of `radii` are |z_i| |cos_i|.  With a_i = |h' - y| |grad f_i|, R1 = mean(a_i eta_i) >=
min|z| mean(a_i |cos_i|).  The sum of a_i |cos_i| is at least tau times that of a_i over the good samples, and the bad
a_i add up to at most o kappa_2 tau'' / (kappa_1 tau') times the good ones; R2 >= mean(h'' |grad f_i|^2 eta_i^2)/2 in
the same way, with squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._validation import require_data, require_finite_positive, require_kind, require_ratio
from msda_theory.augmentation import Augmentation
from msda_theory.bounds._samples import Slopes, require_binary, slopes
from msda_theory.bounds.adversarial import ROUNDING_STEPS
from msda_theory.bounds.radii import require_zero_hessian, seen_deviations
from msda_theory.losses import Logistic

LARGEST_CURVATURE = 0.25  # of the logistic function, at 0


@dataclass(frozen=True)
class SharedConstants:
    """The constants of each of k networks, (k,), on one sample; `good` (m,) as above; `smallest_deviation` min|z_i|."""

    tau: float
    good: Tensor
    kappa: Tensor
    kappa_1: Tensor
    kappa_2: Tensor
    tau_1: Tensor
    tau_2: Tensor
    curvature: Tensor
    smallest_deviation: float

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

    def radius(self) -> float:
        """R~ min_i |z_i|, a length in l2."""
        return self.cosine() * self.smallest_deviation

    def _cosine(self, share: float, curvature: Tensor) -> float:
        if share == 0 or not bool(self.good.any()):
            return 0.0
        odds, spread = (1 - share) / share, self.tau_2 / self.tau_1
        squared = 1 / (1 + odds * curvature * spread**2 / self.kappa)
        linear = 1 / (1 + odds * self.kappa_2 * spread / self.kappa_1)
        return self.tau * float(torch.minimum(squared.sqrt(), linear).min())


def shared_constants(
    models: Sequence[Callable[[Tensor], Tensor]], x: Tensor, y: Tensor, augmentation: Augmentation, tau: float
) -> SharedConstants:
    """The constants of the networks `models` on x (m, ...) and y (m,) or (m, 1) in {0, 1}, 0 < tau < 1.

    For any mask law and label rule, data with any mean, any networks whose Hessian is zero at the data.  A sample whose
    z_i is 0, or at which a gradient is, has no cosine and is not good.

    Raises
    ------
    ValueError, TypeError
        as `exact_loss` does; for labels other than 0 and 1; for K > 1 outputs; for a network that has a Hessian;
        naming the network and the sample where (2 y_i - 1) grad f_i . z_i < 0 beyond rounding.

    >>> from msda_theory import Beta, masks
    >>> x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([0.0, 1.0])
    >>> augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))
    >>> found = shared_constants([lambda x: x, lambda x: 2 * x], x, y, augmentation, tau=0.75)
    >>> found.cosine(), round(found.radius(), 4)
    (0.75, 0.25)
    """
    if callable(models):
        raise TypeError(f"models is one {type(models).__name__}: needed is a sequence of networks, as in [model]")
    if not models:
        raise ValueError("models is empty: needed is at least one network")
    if not 0 < tau < 1:
        raise ValueError(f"tau={tau!r}: needed is a number in (0, 1)")
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    z = seen_deviations(x, augmentation)
    each = [_slopes(model, x, y) for model in models]
    for k, at in enumerate(each):
        _require_towards(k, at, z)
    f, gradient = torch.stack([at.f for at in each]), torch.stack([at.gradient for at in each])
    lengths = gradient.norm(dim=2)
    size = lengths * z.norm(dim=1)
    good = ((gradient * z).sum(2).abs() >= tau * size).logical_and(size > 0).all(0)
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
        float(z.norm(dim=1).min()),
    )


def _slopes(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Slopes:
    with torch.no_grad():
        at = slopes(model, x, y, Logistic())
    require_binary(at.y)
    require_zero_hessian(model, x)
    return at


def _require_towards(k: int, at: Slopes, z: Tensor) -> None:
    """(2y-1) grad f . z >= 0, to rounding, at every sample: the logit of its class falls along its mean move, -z."""
    terms = (2 * at.y - 1).unsqueeze(1) * at.gradient * z
    product, allowed = terms.sum(1), ROUNDING_STEPS * torch.finfo(z.dtype).eps * terms.abs().sum(1)
    if bool((product < -allowed).any()):
        i = int((product + allowed).argmin())
        raise ValueError(
            f"models[{k}] has (2y-1) grad f . z = {float(product[i]):.6g} at sample {i}, whose label is "
            f"{float(at.y[i]):g}, z = n * (x - xbar): needed are networks with no such product below 0, for centred "
            f"data, Mixup and f = grad f . x those in Theta"
        )
