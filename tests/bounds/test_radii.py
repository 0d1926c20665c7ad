"""The radii of the corrected theorem against exact enumeration, and the theorem for every mask law."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch
from flint import fmpq
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.augmentation import LABEL_RULES
from msda_theory.bounds import Radii, adversarial_taylor, in_theta, robust_radii
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from tests.helpers import TanhNetwork, assert_close, inputs, relu_network
from verify.tiny_laws import TinyLaw, bernoulli, cutmix, mixup
from verify.tiny_problems import BetaInt, tilted_moments, two_role_moments
from verify.tolerances import rounding

SHAPE, WIDE = (2, 3), (3, 4)
LAWS: list[MaskLaw] = [
    Mixup(WIDE),
    Bernoulli((2, 3)),
    *(CutMix(WIDE, sampler=sampler) for sampler in SAMPLERS),
    HMix(WIDE, r=0.5, sampler="inside"),
    *(GMix(WIDE, kernel=kernel) for kernel in ("printed", "released")),
    Stochastic(WIDE, q=0.25, sampler="clip"),
]
TINY: list[tuple[MaskLaw, TinyLaw]] = [
    (Mixup(SHAPE), mixup(6)),
    (Bernoulli((3,)), bernoulli(3)),
    *((CutMix(SHAPE, sampler=s), cutmix(2, 3, s)) for s in ("inside", "clip")),
]
TIGHT = rounding(torch.float64, 10.0, 200)


def data(*shape: int, samples: int = 7) -> tuple[Tensor, Tensor]:
    x = inputs(samples, *shape)
    return x, (torch.arange(samples) % 2).double()


def network(size: int, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(size, 9), nn.ReLU(), nn.Linear(9, 1)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model


def gradient(model: nn.Module, x: Tensor) -> Tensor:
    at = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(at).sum(), at)
    return slope.flatten(1)


@pytest.mark.parametrize(("law", "tiny"), TINY, ids=lambda v: repr(v) if isinstance(v, MaskLaw) else "")
def test_radii_are_those_of_enumerated_moments(law: MaskLaw, tiny: TinyLaw) -> None:
    ratio = BetaInt(3, 1)
    x, y = data(2, *law.shape)  # two channels under one mask
    model = network(2 * law.size)
    radii = robust_radii(model, x, y, mt.Augmentation(mt.Beta(3.0, 1.0), law))
    seen = [float(fmpq(v)) for v in two_role_moments(tiny, ratio).first]
    given = [float(fmpq(v)) for v in tilted_moments(tiny, ratio.tilted_density).first]
    slopes, flat = gradient(model, x), x.flatten(1)
    share, norms = 9 / 20 - 3 / 20, flat.norm(dim=1)  # 2ab/((a+b)(a+b+1)) = 3/10 at a, b = 3, 1
    for i in range(len(x)):
        g, v = slopes[i], flat[i] - flat.mean(0)
        length = math.sqrt(sum(float(s) ** 2 for s in g))
        moved = sum(seen[j % law.size] * float(g[j]) * float(v[j]) for j in range(len(g)))
        assert_close(radii.eta[i], (2 * y[i] - 1) * moved / length, TIGHT, f"eta {i}")
        covered = sum(given[j % law.size] * float(g[j]) * float(flat[i, j]) for j in range(len(g)))
        assert_close(radii.covered[i], covered / (length * float(norms[i])), TIGHT, f"E s {i}")
        assert_close(radii.cosines[i], abs(float(g @ flat[i])) / (length * float(norms[i])), TIGHT, f"R {i}")
    assert_close(radii.share, share, TIGHT, "E_D~[1-lambda]")
    assert_close(radii.c_x, float(norms.min()) / (2 * law.size) ** 0.5, TIGHT, "c_x")
    assert_close(radii.eps, radii.cosines * radii.c_x * share, TIGHT, "eps_i")
    assert_close(radii.eps_mix, float(radii.cosines.min()) * radii.c_x * share, TIGHT, "eps_mix")
    least = min(float(radii.cosines.min()) * share, float(radii.covered.min()))
    assert_close(radii.eps_cut, radii.c_x * least, TIGHT, "eps_cut")


@pytest.mark.parametrize("label", LABEL_RULES)
@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_approximate_loss_is_above_the_adversarial_one(law: MaskLaw, label: str) -> None:
    """Labels for which every radius is positive; data that is not centred, a network with biases."""
    x, model = inputs(20, *law.shape), network(law.size)
    augmentation = mt.Augmentation(mt.Beta(0.6, 1.4), law, label)
    eta = robust_radii(model, x, torch.ones(20), augmentation).eta
    y = (eta > 0).double()
    radii = robust_radii(model, x, y, augmentation)
    assert set(y.tolist()) == {0.0, 1.0} and radii.guaranteed
    assert_close(radii.eta, eta.abs(), 0.0, "eta")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mt.ZeroHessianNotice)
        total = mt.taylor_loss(model, mt.losses.Logistic(), x, y, augmentation).total
    each, common = (adversarial_taylor(model, x, y, r).detach().mean() for r in (radii.eta, float(radii.eta.min())))
    assert float(common) <= float(each) <= total + TIGHT


def test_mixup_on_centred_data_has_the_printed_radii() -> None:
    x = inputs(8, 5)
    x = x - x.mean(0)
    weight = torch.linspace(-1, 2, 5, dtype=torch.float64)
    y = (x @ weight > 0).double()
    radii = robust_radii(lambda v: v @ weight, x, y, mt.Augmentation(mt.Beta(2.0, 2.0), Mixup((5,))))
    assert in_theta(lambda v: v @ weight, x, y).all() and radii.guaranteed
    assert_close(radii.eta, radii.cosines * x.norm(dim=1) * radii.share, TIGHT)
    assert (radii.eta >= radii.eps * 5**0.5 - TIGHT).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_keep_the_dtype_and_leave_the_arguments(dtype: torch.dtype) -> None:
    x, y = (v.to(dtype) for v in data(*SHAPE))
    given, model = (x.clone(), y.clone()), network(6).to(dtype)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), CutMix(SHAPE, sampler="inside"))
    radii = robust_radii(model, x, y, augmentation)
    assert {v.dtype for v in (radii.eta, radii.cosines, radii.covered, radii.eps)} == {dtype}
    assert not radii.eta.requires_grad
    assert torch.equal(x, given[0]) and torch.equal(y, given[1]) and not x.requires_grad
    reference = robust_radii(network(6), x.double(), y.double(), augmentation)
    assert_close(radii.eta, reference.eta, rounding(dtype, 10.0, 100))


def test_a_gradient_that_is_zero_has_no_radius() -> None:
    x, y = data(2)
    radii = robust_radii(lambda v: 0 * v.sum(1), x, y, mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,))))
    assert not radii.eta.any() and not radii.cosines.any() and radii.eps_mix == 0


def test_the_size_of_the_network_does_not_matter() -> None:
    x, y = data(2)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,)))
    at_1, at_small = (robust_radii(lambda v, c=c: c * v.sum(1), x, y, augmentation) for c in (1.0, 1e-30))
    for name in ("eta", "cosines", "covered"):
        assert_close(getattr(at_small, name), getattr(at_1, name), TIGHT, name)


def test_printed_numbers_are_those_of_the_radii() -> None:
    """Nine pixels: lengths are 3 times those over sqrt(d)."""
    eta = torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)
    cosines = torch.tensor([0.4, 0.5, 0.8], dtype=torch.float64)
    covered = torch.tensor([0.3, 0.1, 0.2], dtype=torch.float64)
    radii = Radii(eta, cosines, covered, share=0.5, c_x=2.0, size=9)
    cells = [line.replace("│", " ").replace("┃", " ").split() for line in str(radii).splitlines()]
    assert ["eta_i,", "proved", "0", "0.5", "2"] in cells
    assert ["R_i", "0.4", "0.5", "0.8"] in cells
    assert ["eps_i", "sqrt(d),", "printed", "1.2", "1.5", "2.4"] in cells
    assert "printed: eps_mix sqrt(d) = 1.2, eps_cut sqrt(d) = 0.6\n" in str(radii)
    assert str(radii).endswith("L~_MSDA >= mean of l~_adv(eta_i), and of l~_adv(0), the least of them")
    below = str(replace(radii, eta=eta - 0.5))  # at sample 0 it is then 0
    assert below.endswith("no bound: 1 of 3 samples have eta_i < 0, the least at sample 1")


def test_prints_the_radii_and_whether_they_bound() -> None:
    x, y = data(2)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,)))
    mixed = robust_radii(relu_network(1), x, y, augmentation)
    assert not mixed.guaranteed
    count = int((mixed.eta < 0).sum())
    assert f"no bound: {count} of 7 samples have eta_i < 0, the least at sample {int(mixed.eta.argmin())}" in str(mixed)
    centred = x - x.mean(0)
    sided = robust_radii(lambda v: v[:, 0], centred, (centred[:, 0] > 0).double(), augmentation)
    assert sided.guaranteed and f"of l~_adv({float(sided.eta.min()):.4g})" in str(sided)
    assert f"{float(sided.eta.max()):.4g}" in str(sided) and "eps_mix sqrt(d)" in str(sided)
    assert sided._repr_html_().startswith("<pre>") and "eta_i" in sided._repr_html_()


def test_a_hessian_is_seen_where_it_is() -> None:
    """A parabola beyond x_1 = 100, and the plane before it; the global generator is left alone."""
    x, y = data(2)
    x[3, 0], before = 101.0, torch.random.get_rng_state()
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,)))
    with pytest.raises(ValueError, match="model: function has a Hessian at sample 3;"):
        robust_radii(lambda v: v.sum(1) + (v[:, 0] - 100).clamp(min=0) ** 2, x, y, augmentation)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_gradient_that_depends_on_the_parameters_alone_has_no_hessian() -> None:
    x, y = data(2)
    layer = nn.Linear(2, 1).double()
    radii = robust_radii(layer, x, y, mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,))))
    cosines = (x @ layer.weight[0]).abs() / (x.norm(dim=1) * layer.weight.norm())
    assert_close(radii.cosines, cosines, TIGHT)


def test_bad_input_is_named() -> None:
    x, y = data(2)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((2,)))
    with pytest.raises(ValueError, match="model: TanhNetwork has a Hessian at sample"):
        robust_radii(TanhNetwork((2,)), x, y, augmentation)
    with pytest.raises(ValueError, match=r"y\[0\] = 0.25: needed are labels 0 and 1"):
        robust_radii(relu_network(0), x, y / 2 + 0.25, augmentation)
    with pytest.raises(ValueError, match="the mask mixes arrays of shape"):
        robust_radii(relu_network(0), x, y, mt.Augmentation(mt.Beta(1.0, 1.0), Mixup((3,))))
    with pytest.raises(TypeError, match="augmentation is a Beta: needed is an Augmentation"):
        robust_radii(relu_network(0), x, y, mt.Beta(1.0, 1.0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="model: it has 2 outputs"):
        robust_radii(nn.Linear(2, 2).double(), x, y, augmentation)
