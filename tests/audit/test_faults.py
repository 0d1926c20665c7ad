"""Faults planted in a mixer are reported, and what cannot be audited is refused with a reason."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.audit import AuditError, AugmentationFailedError
from msda_theory.masks import CutMix, Mixup
from tests.audit.mixers import mixer, partners

SHAPE = (3, 6, 9)
MIXUP, CUTMIX = mixer(Mixup((6, 9))), mixer(CutMix((6, 9), sampler="clip"), label="realised")


def audited(augmentation: Callable[..., Any], **options: Any) -> mt.AuditReport:
    return mt.audit(augmentation, SHAPE, **{"draws": 40, **options})


# -- conventions that are wrong, or only unlike others


def writes_to_x(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    mixed, labels = CUTMIX(x, y)
    return x.copy_(mixed), labels


def writes_to_y(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    mixed, labels = CUTMIX(x, y)
    return mixed, y.copy_(labels)


@pytest.mark.parametrize(("mix", "which"), [(writes_to_x, "x"), (writes_to_y, "y"), (CUTMIX, "")])
def test_writing_to_the_input(mix: Callable[..., Any], which: str) -> None:
    report = audited(mix)
    found = report["input"]
    assert (found.figures["x changed"], found.figures["y changed"]) == (which == "x", which == "y")
    assert ("WRITES" in found.answer) == bool(which)
    assert report["label"].figures["rule"] == "realised"


@pytest.mark.parametrize("law", [Mixup((6, 9)), CutMix((6, 9), sampler="inside")], ids=repr)
def test_labels_the_wrong_way_round(law: Any) -> None:
    report = audited(mixer(law, label="swapped"))
    assert report["label"].figures["rule"] == "swapped"
    assert "WRONG WAY ROUND" in report["label"].answer
    assert report.hypotheses[0].verdict == "not met" and report.hypotheses[-1].verdict == "not met"
    assert report.expansion.startswith("none")


def test_labels_of_another_permutation() -> None:
    def mix(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        weight = torch.rand(())
        first, second = partners(len(x), "permutation"), partners(len(x), "permutation")
        return weight * x + (1 - weight) * x[first], weight * y + (1 - weight) * y[second]

    found = audited(mix)["label"]
    assert found.figures["labels of another partner"] > 0
    assert "another partner" in found.answer


def boxes(sides: Callable[[float, int, int], tuple[int, int]]) -> Callable[..., Any]:
    def mix(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        height, width = x.shape[-2:]
        scale = float(torch.rand(()).sqrt())
        h, w = sides(scale, height, width)
        partner = partners(len(x), "roll")
        top, left = np.random.randint(height - h + 1), np.random.randint(width - w + 1)  # noqa: NPY002
        out = x.clone()
        out[..., top : top + h, left : left + w] = x[partner][..., top : top + h, left : left + w]
        kept = 1 - h * w / (height * width)
        return out, kept * y + (1 - kept) * y[partner]

    return mix


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        (lambda s, h, w: (int(s * h), int(s * w)), "have the proportions of the image"),
        (lambda s, h, w: (min(int(s * w), h), int(s * h)), "H and W are swapped"),
        (lambda s, h, w: (int(s * h), int(s * h)), "square in pixels"),
    ],
)
def test_axes(sides: Callable[[float, int, int], tuple[int, int]], words: str) -> None:
    report = mt.audit(boxes(sides), (3, 16, 32), draws=80)
    assert words in report["axes"].answer


def test_square_images_do_not_show_the_axes() -> None:
    assert "H = W" in mt.audit(boxes(lambda s, h, w: (int(s * w), int(s * h))), (3, 6, 6), draws=30)["axes"].answer


# -- forms of labels


def as_four(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    weight, partner = float(torch.rand(())), partners(len(x), "permutation")
    return weight * x + (1 - weight) * x[partner], y, y[partner], weight


def smoothed(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Classes to 10 columns with smoothing 0.1, as timm does."""
    rows = torch.full((len(x), 10), 0.01)
    rows[torch.arange(len(x)), y] = 0.91
    mixed, first, second, weight = as_four(x, rows)
    return mixed, weight * first + (1 - weight) * second


@pytest.mark.parametrize(
    ("mix", "labels", "rule"),
    [
        (as_four, "one-hot", "realised"),
        (as_four, "classes", "realised"),
        (smoothed, "classes", "realised"),
        (lambda x: as_four(x, x)[0], "none", "none"),
        (lambda x, y: as_four(x, y)[0], None, "none"),
        (lambda x, y: list(MIXUP(x, y)), None, "realised"),
    ],
)
def test_forms_of_labels(mix: Callable[..., Any], labels: str | None, rule: str) -> None:
    report = audited(mix, labels=labels)
    assert report["label"].figures["rule"] == rule
    assert report["mean mask"].figures["exactly constant"]


# -- what cannot be audited


def broken(x: Tensor, y: Tensor) -> Tensor:
    raise KeyError("inner")


OWN = np.random.default_rng(0)


class Noise(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + 0.1


REFUSED: list[tuple[str, Callable[..., Any], list[str]]] = [
    ("squares", lambda x, y: MIXUP(x**2, y), ["not linear in the batch", "rounding allows"]),
    ("saliency", lambda x, y: torch.where(x > x.flip(0), x, x.flip(0)), ["not linear in the batch"]),
    ("offset", Noise(), ["Noise", "not linear in the batch", "reaches 0.1"]),
    ("transpose", lambda x, y: MIXUP(x.flip(-1), y), ["linear but does not mix pixel by pixel", "moves pixels"]),
    ("dimmed channel", lambda x, y: x * torch.tensor([1.0, 1.0, 0.5])[:, None, None], ["treats channels differently"]),
    ("channels apart", lambda x, y: torch.cat([x[:, :2], x[:, 2:].flip(0)], 1), ["treats channels differently"]),
    ("own generator", lambda x, y: x * OWN.random(), ["another result under the same seeds", "generator of its own"]),
    ("dimmed", lambda x, y: 0.5 * x, ["sum to 1 only within 0.5"]),
    ("three", lambda x, y: (x + x.roll(1, 0) + x.roll(2, 0)) / 3, ["output 0 holds inputs [4, 5] beside its own"]),
    ("shape", lambda x, y: x[:, :, 1:], ["returned shape (6, 3, 5, 9) for images of shape (6, 3, 6, 9)"]),
    ("no tensor", lambda x, y: {"x": x}, ["returned a dict", "images, (images, labels)"]),
    ("three things", lambda x, y: (x, y, 1), ["returned 3 things"]),
    ("nan", lambda x, y: x / 0, ["NaN or inf"]),
    ("labels of one column", lambda x, y: (MIXUP(x, y)[0], y[:, 0]), ["the labels returned have shape (6,)"]),
    ("labels that lose weight", lambda x, y: (x, 0.5 * y), ["sum to 1 only within 0.5"]),
    ("nothing", lambda x, y: (x, y), ["mixed no two samples in 40 draws"]),
]


@pytest.mark.parametrize(("mix", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_no_mix_of_pairs_is_refused(mix: Callable[..., Any], words: list[str]) -> None:
    with pytest.raises(AuditError) as raised:
        audited(mix)
    assert all(word in str(raised.value) for word in words), raised.value


def test_an_error_of_the_callable_keeps_its_traceback() -> None:
    with pytest.raises(
        AugmentationFailedError, match=r"broken, on a batch of shape \(6, 3, 6, 9\), raised KeyError"
    ) as e:
        audited(broken)
    assert isinstance(e.value.__cause__, KeyError)
    assert "in broken" in "".join(traceback.format_tb(e.value.__cause__.__traceback__))


OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"shape": (6, 9)}, ValueError, r"shape=\(6, 9\): needed are 3 positive integers"),
    ({"batch": 1}, ValueError, "batch=1: needed is an integer >= 2"),
    ({"draws": 1}, ValueError, "draws=1: needed is an integer >= 2"),
    ({"draws": 10**9}, ValueError, "draws=1000000000 of 6 masks of 6 x 9 pixels"),
    ({"seed": -1}, ValueError, "seed=-1"),
    ({"false_alarm": 0.0}, ValueError, "false_alarm=0.0"),
    ({"false_alarm": 1.0}, ValueError, "false_alarm=1.0: needed is a probability below 1"),
    ({"labels": "soft"}, ValueError, "labels='soft': needed is one of 'one-hot', 'classes', 'none'"),
    ({"ratio": 0.5}, TypeError, "ratio is 0.5: needed is a RatioLaw"),
    ({"augmentation": 3}, TypeError, "augmentation is a int: needed is a callable"),
]


@pytest.mark.parametrize(("changed", "error", "message"), OPTIONS)
def test_bad_arguments_are_refused_before_any_call(
    changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    def never(x: Tensor, y: Tensor) -> Tensor:
        raise AssertionError("called")

    with pytest.raises(error, match=message):
        mt.audit(**{"augmentation": never, "shape": SHAPE, **changed})


def test_the_report_prints() -> None:
    report = audited(CUTMIX)
    for text in (str(report), report._repr_html_()):
        assert "second moment" in text and "Theorem 1" in text and "loss expansion" in text
    assert max(map(len, str(report).splitlines())) <= 110
