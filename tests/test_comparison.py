"""The comparison: what it says is what it holds, on paper, on a web page and as JSON."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import pytest
import torch

import msda_theory as mt
from msda_theory.expansions import NextOrder
from tests.helpers import Quadratic, TanhNetwork, inputs, labels, relu_network

EXACT = mt.ExactLoss(value=1.0, error=1e-9, method="enumerate", evaluations=12)
THEORY = mt.TaylorLoss(standard=0.6, r1=0.1, r2=0.2, r3=0.05, form="default")


MEAN_POINT = mt.MeanPointLoss(standard=0.8, label=-0.03, r2=0.15, r3=0.07)
TRUST = mt.Trust(NextOrder(third=-0.2, error=0.01, second=0.25), NextOrder(third=0.038, error=0.0019, second=0.19))


def made(exact: mt.ExactLoss = EXACT, theory: mt.TaylorLoss = THEORY, trust: mt.Trust = TRUST) -> mt.Comparison:
    return mt.Comparison(exact, theory, "Logistic(), Mixup((2,)), Beta(a=1.0, b=1.0)", MEAN_POINT, trust)


def compared(**options: object) -> mt.Comparison:
    x, loss = inputs(4, 3, 4), mt.losses.Logistic()
    augmentation = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.CutMix((3, 4), sampler="clip"))
    return mt.compare(TanhNetwork((3, 4)), loss, x, labels(loss, 4, 1), augmentation, **options)


def test_definitions() -> None:
    """effect = exact - L_m, remainder = exact - (L_m + R1 + R2 + R3), and its share of the effect, without a sign."""
    comparison = made()
    assert comparison.effect == pytest.approx(0.4)
    assert comparison.remainder == pytest.approx(0.05)
    assert comparison.relative_remainder == pytest.approx(0.125)
    assert comparison.mean_point_remainder == pytest.approx(0.01)
    assert comparison.relative_mean_point_remainder == pytest.approx(0.025)
    negative = made(theory=mt.TaylorLoss(1.4, -0.1, -0.2, 0.0, "default"))
    assert negative.effect == pytest.approx(-0.4)
    assert negative.remainder == pytest.approx(-0.1)
    assert negative.relative_remainder == pytest.approx(0.25)


def test_no_effect_has_no_share() -> None:
    comparison = made(theory=mt.TaylorLoss(1.0, 0.0, 0.0, 0.0, "default"))
    assert math.isnan(comparison.relative_remainder)
    assert comparison.to_dict()["relative_remainder"] is None
    assert comparison.to_dict()["mean_point"]["relative_remainder"] is None
    json.dumps(comparison.to_dict(), allow_nan=False)
    assert str(comparison)


def test_compare_calls_all_on_the_same_problem() -> None:
    comparison = compared()
    x, loss = inputs(4, 3, 4), mt.losses.Logistic()
    augmentation = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.CutMix((3, 4), sampler="clip"))
    problem = (TanhNetwork((3, 4)), loss, x, labels(loss, 4, 1), augmentation)
    assert comparison.exact == mt.exact_loss(*problem)
    assert comparison.theory == mt.taylor_loss(*problem)
    assert comparison.mean_point == mt.mean_point_loss(*problem)
    assert comparison.trust.data.second == comparison.theory.r2 + comparison.theory.r3
    assert comparison.trust.mean_points.second == comparison.mean_point.second
    printed = compared(as_printed=True)
    assert printed.theory == mt.taylor_loss(*problem, as_printed=True)
    assert printed.mean_point == comparison.mean_point
    assert comparison.remainder == comparison.exact.value - comparison.theory.total


def test_options_go_to_the_exact_loss() -> None:
    comparison = compared(method="monte-carlo", samples=50, seed=0)
    assert (comparison.exact.method, comparison.exact.evaluations) == ("monte-carlo", 50)
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        compared(colour="red")


def test_the_dictionary_is_json_and_complete() -> None:
    comparison = compared()
    read = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert read == comparison.to_dict()
    assert read["exact"]["value"] == comparison.exact.value
    theory = read["theory"]
    assert theory["total"] == theory["standard"] + theory["r1"] + theory["r2"] + theory["r3"]
    assert read["remainder"] == read["exact"]["value"] - theory["total"]
    mean = read["mean_point"]
    assert mean["total"] == mean["standard"] + (mean["label"] + mean["r2"] + mean["r3"])
    assert mean["remainder"] == read["exact"]["value"] - mean["total"]
    for order in (read["trust"]["data"], read["trust"]["mean_points"]):
        assert order["ratio"] == abs(order["third"]) / abs(order["second"])
        assert order["radius"] == abs(order["second"]) / abs(order["third"])
    assert read["trust"]["reason"] == ""
    assert read["title"] == "Logistic(), CutMix((3, 4), sampler='clip'), Beta(a=0.3, b=2.0)"


def test_the_text_holds_every_number() -> None:
    text = str(made())
    for expected in ("0.6000000000", "+0.1000000000", "+0.2000000000", "+0.0500000000", "0.9500000000", "1.0000000000"):
        assert expected in text
    assert "+- 1e-09, enumerate" in text
    assert "12.50% of the effect" in text and "2.50% of the effect" in text
    for expected in ("0.8000000000", "-0.0300000000", "+0.1500000000", "+0.0700000000", "0.9900000000"):
        assert expected in text
    assert "0.8 +- 0.04" in text and "0.2 +- 0.01" in text and "1.2" in text and "5" in text
    assert "default form" in text
    assert "Logistic(), Mixup((2,)), Beta(a=1.0, b=1.0)" in text
    assert "\x1b" not in text, "no escape codes in a string"
    assert max(map(len, text.splitlines())) <= 100


def test_without_a_radius_the_text_says_why() -> None:
    text = str(made(trust=mt.Trust(None, None, "none, the network is piecewise linear")))
    assert "radius of trust: none, the network is piecewise linear" in text
    assert "third order" not in text


def test_a_relu_network_has_no_radius() -> None:
    x, loss = inputs(4, 2), mt.losses.Logistic()
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    with pytest.warns(mt.ZeroHessianNotice):
        comparison = mt.compare(relu_network(0), loss, x, labels(loss, 4, 1), augmentation, rtol=1e-2)
    assert comparison.to_dict()["trust"]["data"] is None
    assert "piecewise linear" in str(comparison)


class Text(HTMLParser):
    """The text of a page; every element that is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.open = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += 1

    def handle_endtag(self, tag: str) -> None:
        self.open -= 1

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_holds_what_the_text_does() -> None:
    page = Text()
    page.feed(made()._repr_html_())
    assert page.open == 0
    assert page.text.split() == str(made()).split()


def test_an_exact_expansion_has_a_remainder_of_rounding() -> None:
    x, loss = inputs(4, 2), mt.losses.Squared()
    augmentation = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.Mixup((2,)))
    model = Quadratic((2,), curved=False)
    comparison = mt.compare(model, loss, x, labels(loss, 4, 1), augmentation)
    assert abs(comparison.remainder) <= comparison.exact.error
    assert comparison.relative_remainder < 1e-9
    assert isinstance(comparison.to_dict()["relative_remainder"], float)


def test_exact_loss_prints_its_error() -> None:
    assert str(EXACT) == "1 +- 1e-09 (enumerate, 12 evaluations)"
    assert torch.get_default_dtype() == torch.float32, "nothing here changes torch's defaults"
