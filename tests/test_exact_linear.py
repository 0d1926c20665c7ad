"""The pair sums of affine models against the enumeration, and what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory import exact_linear
from msda_theory.chebyshev import chebyshev_moments, chebyshev_nodes, nodes_for
from msda_theory.exact_linear import POLYNOMIAL, PairSums, affine_parts, bilinear
from msda_theory.losses import ElementwiseLoss
from tests.helpers import LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels
from verify.tolerances import rounding

ELEMENTWISE: tuple[ElementwiseLoss, ...] = (
    mt.losses.Logistic(),
    mt.losses.Squared(),
    mt.losses.Poisson(),
    LinearLoss(),
)
MASKS = (
    mt.masks.Mixup((3, 3)),
    mt.masks.CutMix((3, 3), sampler="clip"),
    mt.masks.HMix((3, 3), r=0.5, sampler="inside"),
    mt.masks.Stochastic((3, 3), sampler="inside"),
)


def affine(shape: tuple[int, ...], outputs: int) -> Quadratic:
    return Quadratic(shape, outputs, curved=False)


@pytest.mark.parametrize("loss", ELEMENTWISE, ids=repr)
@pytest.mark.parametrize("mask", MASKS, ids=repr)
@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_it_is_the_enumeration(loss: ElementwiseLoss, mask: mt.masks.MaskLaw, label: str) -> None:
    """Two outputs, a channel axis, unequal alpha and beta; the difference is within the errors that both report."""
    x, model = inputs(5, 2, 3, 3) / 4, affine((2, 3, 3), 2)
    y, augmentation = labels(loss, 5, 2), mt.Augmentation(mt.Beta(0.6, 1.7), mask, label)
    fast = mt.exact_loss(model, loss, x, y, augmentation, method="linear", rtol=1e-11)
    slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-11)
    assert_close(fast.value, slow.value, fast.error + slow.error)
    assert fast.error <= 1e-10 * (1 + abs(slow.value)), "an error that says something"
    assert fast.evaluations == 18 + 1 + 2 * 5


def test_a_thousand_samples_to_twelve_digits() -> None:
    """10^6 pairs at 24 ratios, against the plain sum in float64, whose 10^6 terms add up pairwise."""
    x, loss, model = inputs(1000, 2), mt.losses.Logistic(), affine((2,), 1)
    y, law = labels(loss, 1000, 1), mt.Discrete(tuple(torch.linspace(0, 1, 5).tolist()), (0.1, 0.2, 0.3, 0.1, 0.3))
    augmentation = mt.Augmentation(law, mt.masks.Mixup((2,)))
    fast = mt.exact_loss(model, loss, x, y, augmentation, method="linear", rtol=1e-12)
    slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-12)
    assert_close(fast.value, slow.value, 1e-12 * abs(slow.value))
    assert fast.error < 1e-12 * 5


def test_a_constant_model_and_equal_samples() -> None:
    """Intervals of no length."""
    x = torch.ones(3, 2, dtype=torch.float64)
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    y = torch.tensor([0.0, 1.0, 1.0], dtype=torch.float64)
    found = mt.exact_loss(affine((2,), 1), mt.losses.Logistic(), x, y, augmentation, method="linear")
    slow = mt.exact_loss(affine((2,), 1), mt.losses.Logistic(), x, y, augmentation)
    assert_close(found.value, slow.value, found.error + slow.error)


def test_float32() -> None:
    x, loss, model = inputs(6, 4).float(), mt.losses.Logistic(), affine((4,), 1).float()
    y, augmentation = labels(loss, 6, 1).float(), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((4,)))
    single = mt.exact_loss(model, loss, x, y, augmentation, method="linear")
    double = mt.exact_loss(model.double(), loss, x.double(), y.double(), augmentation, method="linear")
    assert_close(single.value, double.value, single.error + rounding(torch.float32, 10.0, 8))
    assert single.error > rounding(torch.float32, abs(double.value), 4), "the error knows the dtype"


@pytest.mark.parametrize(
    "model", [TanhNetwork((2,)), nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double()]
)
def test_a_model_that_is_not_affine_is_refused(model: nn.Module) -> None:
    x, augmentation = inputs(8, 2) - 1, mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    y = labels(mt.losses.Logistic(), 8, 1)
    with pytest.raises(ValueError, match=r"model: f differs from W x \+ b .* method='enumerate'"):
        mt.exact_loss(model, mt.losses.Logistic(), x, y, augmentation, method="linear")


def test_a_bump_half_way_between_two_samples_is_refused() -> None:
    """f(x) is the mean m of x but for 4.9 < m < 5.1, at x = (4, 4) and (6, 6)."""
    x, augmentation = (
        torch.tensor([[4.0, 4], [6, 6]]).double(),
        mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))),
    )

    def model(v: torch.Tensor) -> torch.Tensor:
        mean = v.mean(1)
        return mean + (1 - 10 * (mean - 5).abs()).clamp(min=0)

    with pytest.raises(ValueError, match=r"model: f differs from W x \+ b by up to 1 on the data"):
        mt.exact_loss(model, mt.losses.Logistic(), x, torch.tensor([0, 1]), augmentation, method="linear")


def test_a_bump_is_seen_beside_larger_samples() -> None:
    """Of 1e-3 at x = 1; at x = 1e15 it would be a rounding."""
    x, augmentation = torch.tensor([[1e15], [1.0]]).double(), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((1,)))
    slope = torch.full((1,), 0.5, dtype=torch.float64)

    def model(v: torch.Tensor) -> torch.Tensor:
        return v @ slope + 1e-3 * ((v[:, 0] == 1) & (len(v) > 2))  # the unit vector is one of two

    with pytest.raises(ValueError, match=r"model: f differs from W x \+ b by up to 0.001 on the data"):
        mt.exact_loss(model, mt.losses.Logistic(), x, torch.tensor([0, 1]), augmentation, method="linear")


@pytest.mark.parametrize("mask", MASKS[:2], ids=repr)
def test_outputs_in_the_tens(mask: mt.masks.MaskLaw) -> None:
    """log(1 + e^f) bends at 0 alone: on a long interval it takes many nodes."""
    x, model, loss = 8 * inputs(5, 3, 3) - 8, affine((3, 3), 1), mt.losses.Logistic()
    y, augmentation = labels(loss, 5, 1), mt.Augmentation(mt.Discrete((0.3, 0.8), (0.5, 0.5)), mask)
    fast = mt.exact_loss(model, loss, x, y, augmentation, method="linear", rtol=1e-11)
    slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-11)
    assert float(model(x).detach().abs().max()) > 10
    assert_close(fast.value, slow.value, fast.error + slow.error)
    assert fast.error <= 1e-9 * abs(slow.value)


def pair_sums(rtol: float = 1e-9) -> PairSums:
    """f = x on two samples, 0 and 30, of the logistic loss, labels 1."""
    x, one = torch.tensor([[0.0], [30.0]]).double(), torch.ones(1, 1, dtype=torch.float64)
    return PairSums(mt.losses.Logistic(), x, torch.ones(2, 1, dtype=torch.float64), one, 0 * one[0], rtol)


def test_nodes_that_were_found_serve_a_narrower_interval_and_no_wider_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """And half widths up to a quarter of a halving less, down to a sixteenth of the whole."""
    sums, like, sought = pair_sums(), torch.zeros(1, dtype=torch.float64), []
    monkeypatch.setattr(exact_linear, "nodes_for", lambda *a: (sought.append(a[1:4]), nodes_for(*a))[1])

    def needed(low: float, high: float, half: float) -> tuple[int, float]:
        return nodes_for(lambda f: mt.losses.Logistic().scalar(f, 0), low, high, half, POLYNOMIAL * 1e-9, like)

    assert sums._nodes(-1.0, 1.0, 1.0) == needed(-1.0, 1.0, 1.0)
    assert sums._nodes(-1.0, 1.0, 0.25) == needed(-1.0, 1.0, 0.25) != needed(-1.0, 1.0, 1.0)
    assert sums._nodes(-4.0, 20.0, 12.0) == needed(-4.0, 20.0, 12.0) != needed(-1.0, 1.0, 1.0)
    assert sums._nodes(-4.0, 10.0, 11.5) == needed(-4.0, 20.0, 12.0) == sums._nodes(-0.5, 20.0, 12.0)
    assert sums._nodes(-0.5, 10.0, 3.0) == needed(-4.0, 20.0, 3.0) == sums._nodes(0.0, 1.0, 2.8)
    assert sums._nodes(-0.5, 10.0, 0.0) == needed(-4.0, 20.0, 0.75) == sums._nodes(0.0, 1.0, 0.75)
    assert sums._nodes(-44.0, 10.0, 2.5) == needed(-44.0, 20.0, 32 * 2 ** (-14 / 4))
    assert sums._nodes(3.0, 3.0, 0.0) == needed(-44.0, 20.0, 2.0)
    assert [each[:2] for each in sought] == [(-1, 1)] * 2 + [(-4, 20)] * 3 + [(-44, 20)] * 2
    assert pair_sums()._nodes(3.0, 3.0, 0.0) == needed(3.0, 3.0, 0.0)


def test_the_narrower_of_the_two_takes_fewer_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """f = x_1 + x_2 / 32 on (-8, 8), and the mask (1, 0): a table of the h of the one's nodes by the other's."""
    shapes: list[tuple[int, ...]] = []
    monkeypatch.setattr(exact_linear, "bilinear", lambda u, h, v: (shapes.append(h.shape), bilinear(u, h, v))[1])
    x = torch.linspace(-8, 8, 9, dtype=torch.float64).unsqueeze(-1).expand(-1, 2)
    weight = torch.tensor([[1.0, 1 / 32]], dtype=torch.float64)
    sums = PairSums(mt.losses.Logistic(), x, torch.ones(9, 1, dtype=torch.float64), weight, 0 * weight[0, :1], 1e-9)
    masks, one = torch.tensor([[1.0, 0.0]]).double(), torch.ones(1, dtype=torch.float64)
    value, _, error = sums.over(mt.MixTable(masks, one, 0 * one))
    (n, tail), (k, other) = sums._nodes(-8.25, 8.25, 8.0), sums._nodes(-8.25, 8.25, 0.25)
    assert shapes == [(1, 1, n, k)] * 2 and n > 2 * k
    plain = (torch.log1p((x[:, :1] + x[:, 0] / 32).exp()) - x[:, :1] - x[:, 0] / 32).mean()
    assert_close(value, plain, error)
    assert max(tail, other) < error < 40 * max(tail, other) + rounding(torch.float64, 30.0, n)


def test_masks_of_a_block_are_alike_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []
    rows = PairSums._rows
    monkeypatch.setattr(PairSums, "_rows", lambda *a: (seen.append(a[1].sum(1).tolist()), rows(*a))[1])
    monkeypatch.setattr(exact_linear, "BLOCK", 1)
    x = torch.tensor([[0.0, 1.0], [2.0, 5.0]]).double()
    sums = PairSums(mt.losses.Squared(), x, x[:, :1], torch.ones(1, 2).double(), torch.zeros(1).double(), 1e-9)
    masks, share = torch.tensor([[1.0, 0.5], [0.0, 0.25], [0.0, 1.0]]).double(), torch.full((3,), 1 / 3).double()
    sums.over(mt.MixTable(masks, share, 0 * share))
    assert seen == [[0.25], [1.0], [1.5]]


def test_a_constant_mask_needs_no_products_with_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """W (M x) is M W x; and the masks come in blocks of one where a block holds less."""
    rows: list[int] = []
    monkeypatch.setattr(PairSums, "_own", lambda *a: pytest.fail("a product for a constant mask"))
    monkeypatch.setattr(PairSums, "_rows", lambda *a, made=PairSums._rows: (rows.append(len(a[1])), made(*a))[1])
    monkeypatch.setattr(exact_linear, "BLOCK", 1)
    half = torch.full((3,), 0.5, dtype=torch.float64)
    pair_sums().over(mt.MixTable(torch.tensor([[0.2], [0.5], [1.0]]).double(), half, half))
    assert rows == [1, 1, 1]


@pytest.mark.parametrize("rtol", [0.01, 1e-11])
def test_the_error_of_interpolation_by_the_nodes_products(rtol: float) -> None:
    """One sample, half way between n nodes: (1 + L)^2 tail, L = sum_a prod_b |t_b / (t_a - t_b)|, and rounding."""
    one = torch.ones(1, 1, dtype=torch.float64)
    weight = torch.tensor([[1.0], [1.5]], dtype=torch.float64)
    sums = PairSums(mt.losses.Logistic(), one, torch.ones(1, 2, dtype=torch.float64), weight, 0 * weight[:, 0], rtol)
    n, tail = sums._nodes(-20.0, 21.0, 0.0)
    value, size, error = sums._smooth(0.25 * sums.outputs[None], 0.75 * sums.outputs[None], False)
    t = chebyshev_nodes(n).tolist()
    constant = sum(math.prod(abs(b / (a - b)) for b in t if b != a) for a in t)
    expected = (1 + constant) ** 2 * tail + n * torch.finfo(torch.float64).eps * size
    assert n % 2 == 0 and constant > 1.01
    assert_close(error, expected, 1e-9 * expected)
    assert_close(value, torch.log1p(weight.T.exp()), error)


def test_the_size_of_the_terms_by_hand() -> None:
    """No mixing: the mean of h(0) - 0 = log 2 and h(30) - 30, terms of 0.35 + 15 + 15.

    The weights are those of both samples at n nodes, whose moduli add up to Lebesgue's constant at most.
    """
    sums, one = pair_sums(), torch.ones(1, dtype=torch.float64)
    value, size, error = sums.over(mt.MixTable(one.unsqueeze(0), one, 0 * one))
    n, _ = sums._nodes(0.0, 30.0, 15.0)
    assert_close(value, (math.log(2) + math.log1p(math.exp(-30))) / 2, error)
    assert 30.3 < size < 30 * (2 / math.pi * math.log(n) + 1) ** 2 + 15 and 0 < error < 1e-7


def test_a_loss_that_couples_the_outputs_is_refused() -> None:
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    with pytest.raises(ValueError, match=r"SoftmaxCrossEntropy\(\) with method='linear': needed is one scalar loss"):
        mt.exact_loss(
            affine((2,), 3),
            mt.losses.SoftmaxCrossEntropy(),
            inputs(3, 2),
            torch.tensor([0, 1, 2]),
            augmentation,
            method="linear",
        )


def test_a_loss_with_a_kink_is_refused() -> None:
    class Hinge(ElementwiseLoss):
        def scalar(self, f: torch.Tensor, order: int) -> torch.Tensor:
            return (f.clamp(min=0), (f > 0).to(f), torch.zeros_like(f))[order]

    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((1,)))
    x = torch.tensor([[-1.0], [0.7], [2.0]], dtype=torch.float64)
    with pytest.raises(mt.ToleranceError, match=r"the loss is not a polynomial to .* with 1024 nodes"):
        mt.exact_loss(lambda v: v, Hinge(), x, x, augmentation, method="linear")


def test_numbers_are_made_where_the_data_are() -> None:
    """And not on the default device, which here holds no numbers."""
    x, model, loss = inputs(4, 2), affine((2,), 1), mt.losses.Logistic()
    y, t = labels(loss, 4, 1), torch.linspace(-1, 1, 5, dtype=torch.float64)
    with torch.device("meta"), torch.no_grad():
        found = *affine_parts(model, x, loss, y)[:2], chebyshev_moments(t, 3)
    with torch.no_grad():
        expected = *affine_parts(model, x, loss, y)[:2], chebyshev_moments(t, 3)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
