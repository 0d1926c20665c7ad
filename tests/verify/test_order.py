"""The order test: 3 for the theory on smooth losses, less for each planted fault, and its noise floor."""

from __future__ import annotations

import ast
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
import verify.scaled_loss
from msda_theory.augmentation import SeenMoments
from msda_theory.expansions import taylor_terms
from msda_theory.losses import Logistic, Loss, Squared
from msda_theory.masks import Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from verify.order import CLEAR, SMALLEST, WIDTH, NoWindowError, OrderFit, remainder_order
from verify.problems import digits, fit, loss_for, network, standard_objective, two_moons
from verify.scaled_loss import scaled_loss, shares

IMAGE = (4, 3)
LAWS: dict[str, MaskLaw] = {
    "mixup": Mixup(IMAGE),
    "cutmix": CutMix(IMAGE, sampler="inside"),
    "cutmix-clip": CutMix(IMAGE, sampler="clip"),
    "hmix": HMix(IMAGE, r=0.5, sampler="inside"),
    "gmix-printed": GMix(IMAGE, kernel="printed"),
    "gmix-released": GMix(IMAGE, kernel="released"),
    "stochastic": Stochastic(IMAGE, sampler="inside"),
}
ORDER_SLACK = 0.1
SMALL_K = 1e-3  # K eps^3: a third-order term that vanishes by accident would test nothing


@cache
def problem(data: str, name: str) -> tuple[nn.Module, Loss, Tensor, Tensor]:
    """A trained network: 10 moons, or digits (m, 4, 3) or, small enough for Bernoulli's 2^d masks, (m, 2, 3)."""
    if data == "moons":
        x, y = two_moons(10)
    else:
        x, y = digits(8)
        x = x[:, 2:6, 2:5] if data == "digits" else x[:, 3:5, 2:5]
    loss, width = loss_for(y)
    model = network(name, tuple(x.shape[1:]), width)
    return fit(model, standard_objective(loss, x, y, weight_decay=0.02)), loss, x.contiguous(), y


def augmentation(mask: MaskLaw, label: str = "nominal") -> mt.Augmentation:
    return mt.Augmentation(mt.Beta(0.7, 1.6), mask, label=label)


def has_order(fitted: OrderFit, order: float) -> bool:
    return abs(fitted.slope - order) <= ORDER_SLACK


def third_order_term(fitted: OrderFit) -> float:
    smallest = next(p for p in fitted.points if p.eps == fitted.window[0])
    return abs(smallest.remainder) / smallest.eps**3


CASES = [("digits", name) for name in LAWS] + [("moons", "mixup"), ("moons", "bernoulli"), ("small", "bernoulli")]


@pytest.mark.parametrize("name", ["logistic", "mlp-tanh"])
@pytest.mark.parametrize(("data", "law"), CASES)
def test_smooth_networks_leave_a_third_order_remainder(data: str, law: str, name: str) -> None:
    model, loss, x, y = problem(data, name)
    mask = {"mixup": Mixup, "bernoulli": Bernoulli}[law](tuple(x.shape[1:])) if data != "digits" else LAWS[law]
    fitted = remainder_order(model, loss, x, y, augmentation(mask))
    assert has_order(fitted, 3), str(fitted)
    assert third_order_term(fitted) > SMALL_K


def test_realised_labels_leave_a_third_order_remainder() -> None:
    model, loss, x, y = problem("digits", "mlp-tanh")
    fitted = remainder_order(model, loss, x, y, augmentation(LAWS["cutmix-clip"], label="realised"))
    assert has_order(fitted, 3), str(fitted)


def turned_around(moments: SeenMoments) -> SeenMoments:
    """Moments of 1-N: lambda for 1-lambda."""
    first = moments.first
    return SeenMoments(1 - first, 1 - first - first.unsqueeze(-1) + moments.second, moments.error)


@pytest.mark.parametrize("law", ["mixup", "cutmix", "gmix-printed"])
@pytest.mark.parametrize("name", ["logistic", "mlp-tanh"])
def test_planted_faults_lower_the_order(law: str, name: str) -> None:
    model, loss, x, y = problem("digits", name)
    aug = augmentation(LAWS[law])
    right = mt.taylor_loss(model, loss, x, y, aug)
    with torch.no_grad():
        f = model(x)
        terms = taylor_terms(model, loss, x, loss.prepare(y, f), turned_around(aug.seen()))
    turned = mt.TaylorLoss(*(float(getattr(terms, k)) for k in ("standard", "r1", "r2", "r3")), form="default")
    faults = [
        (replace(right, r2=right.r2 / 2), 2),
        (replace(right, r2=-right.r2), 2),
        (replace(right, r1=-right.r1), 1),
        (replace(right, standard=right.standard + 1e-4), 0),
        (turned, 1),
    ]
    if name == "mlp-tanh":
        faults.append((replace(right, r3=0.0), 2))
    for theory, order in faults:
        fitted = remainder_order(model, loss, x, y, aug, theory=theory)
        assert has_order(fitted, order), str(fitted)


@pytest.mark.parametrize("centred", [True, False])
def test_printed_form_of_cutmix_has_a_lower_order(centred: bool) -> None:
    model, loss, x, y = problem("digits", "mlp-tanh")
    x, aug = x - x.mean(0) * centred, augmentation(LAWS["cutmix"])
    printed = mt.taylor_loss(model, loss, x, y, aug, as_printed=True)
    assert remainder_order(model, loss, x, y, aug, theory=printed).slope <= 2 + ORDER_SLACK


@pytest.mark.parametrize(("centred", "order"), [(True, 3), (False, 1)])
def test_printed_form_of_mixup_needs_centred_data(centred: bool, order: int) -> None:
    model, loss, x, y = problem("digits", "mlp-tanh")
    x, aug = x - x.mean(0) * centred, augmentation(LAWS["mixup"])
    printed = mt.taylor_loss(model, loss, x, y, aug, as_printed=True)
    assert has_order(remainder_order(model, loss, x, y, aug, theory=printed), order)


RATIOS = (mt.Beta(0.7, 1.6), mt.Discrete((0.2, 0.85), (0.3, 0.7)))


@pytest.mark.parametrize("ratio", RATIOS, ids=["quadrature", "finite sum"])
@pytest.mark.parametrize("law", LAWS)
def test_at_one_it_is_the_exact_loss_and_at_zero_the_standard_loss(law: str, ratio: mt.RatioLaw) -> None:
    model, loss, x, y = problem("digits", "mlp-tanh")
    aug, slack = mt.Augmentation(ratio, LAWS[law]), 1e-9 if isinstance(ratio, mt.Beta) else 1e-14
    with torch.no_grad():
        labels = loss.prepare(y, model(x))
        at_zero, at_one = (scaled_loss(model, loss, x, labels, shares(aug), eps) for eps in (0.0, 1.0))
    exact = mt.exact_loss(model, loss, x, y, aug, rtol=1e-9)
    theory = mt.taylor_loss(model, loss, x, y, aug)
    assert abs(at_one.value - exact.value) <= slack * at_one.size
    assert abs(at_zero.value - theory.standard) <= 1e-14 * at_zero.size


@pytest.mark.parametrize(("data", "law"), [("moons", "mixup"), ("digits", "cutmix"), ("digits", "hmix")])
def test_noise_floor_bounds_the_noise(data: str, law: str) -> None:
    model, loss, x, y = problem(data, "mlp-tanh")
    mask = Mixup((2,)) if data == "moons" else LAWS[law]
    fitted = remainder_order(model, loss, x, y, augmentation(mask))
    smallest = fitted.points[0]
    assert smallest.eps == 2.0**-SMALLEST
    assert abs(smallest.remainder) <= smallest.floor + 2 * third_order_term(fitted) * smallest.eps**3


def test_window_is_the_smallest_clear_eps() -> None:
    fitted = remainder_order(*problem("digits", "logistic"), augmentation(LAWS["cutmix"]))
    clear = [p.eps for p in fitted.points if abs(p.remainder) > CLEAR * p.floor]
    assert list(fitted.window) == sorted(clear)[:WIDTH]
    assert len(fitted.window) == WIDTH == len(fitted.local_slopes) + 1
    assert max(fitted.window) < 0.1
    assert "order of the remainder: 3.0" in str(fitted)


def test_exact_expansion_has_infinite_order() -> None:
    _, _, x, y = problem("moons", "logistic")
    fitted = remainder_order(network("logistic", (2,), 1), Squared(), x, y, augmentation(Mixup((2,))))
    assert math.isinf(fitted.slope) and not fitted.window
    assert "exact" in str(fitted)


def test_remainder_that_is_hardly_clear_has_no_window() -> None:
    _, _, x, y = problem("moons", "logistic")
    model, aug = network("logistic", (2,), 1), augmentation(Mixup((2,)))
    floor = remainder_order(model, Squared(), x, y, aug).points[-1].floor
    theory = mt.taylor_loss(model, Squared(), x, y, aug)
    theory = replace(theory, r2=theory.r2 + 10 * CLEAR * floor)  # clear at eps = 1 and 1/2
    with pytest.raises(NoWindowError, match=r"no window .* at 2 of 17 eps, a slope needs 5"):
        remainder_order(model, Squared(), x, y, aug, theory=theory)


def test_relu_network_gets_a_slope_and_no_claim() -> None:
    model, loss, x, y = problem("moons", "mlp-relu")
    with pytest.warns(mt.ZeroHessianNotice):
        fitted = remainder_order(model, loss, x, y, augmentation(Mixup((2,))))
    assert math.isfinite(fitted.slope)


def test_bad_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model, loss, x, y = problem("moons", "logistic")
    with pytest.raises(TypeError, match=r"torch\.float32.*needs torch\.float64"):
        remainder_order(network("logistic", (2,), 1).float(), loss, x.float(), y, augmentation(Mixup((2,))))
    with pytest.raises(mt.NotEnumerableError):
        remainder_order(network("logistic", (64,), 1), Logistic(), x.repeat(1, 32), y, augmentation(Bernoulli((64,))))
    monkeypatch.setattr(verify.scaled_loss, "LARGEST_EVALUATION", 100)
    with pytest.raises(ValueError, match=r"use fewer samples"):
        remainder_order(model, loss, x, y, augmentation(Mixup((2,))))
    monkeypatch.setattr(verify.scaled_loss, "LAST_ORDER", 8)
    with pytest.raises(mt.ToleranceError, match=r"moments of GMix"):
        shares(augmentation(LAWS["gmix-printed"]))


def test_scaled_loss_is_a_channel_of_its_own() -> None:
    tree = ast.parse(Path(verify.scaled_loss.__file__).read_text(encoding="utf-8"))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module}
    imported |= {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    assert not imported & {"msda_theory", "msda_theory.exact", "msda_theory.derivatives", "msda_theory.expansions"}
