"""Augmentations of other libraries, where they are installed and can be imported."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import msda_theory as mt
from msda_theory.audit import AuditError, draw_shares

SHAPE = (3, 8, 12)


def kornia() -> ModuleType:
    return pytest.importorskip("kornia.augmentation", reason="kornia is not installed")


def torchvision() -> ModuleType:
    try:
        return importlib.import_module("torchvision.transforms.v2")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")


def timm_mixup() -> Any:
    """timm's module of mixing alone: the package itself imports torchvision, this module needs torch and numpy only."""
    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None:
        pytest.skip("timm is not installed")
    spec = importlib.util.spec_from_file_location("timm.data.mixup", Path(package.origin).parent / "data" / "mixup.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Mixup


def test_kornia_mixup() -> None:
    given = kornia().RandomMixUpV2()
    untouched = dict(given._params)
    report = mt.audit(given, SHAPE, draws=300)
    assert report["mean mask"].figures["exactly constant"]
    assert [fit.law for fit in report.fits if fit.fits] == ["Mixup((8, 12))"]
    assert report["ratio"].figures["per"] == "sample"
    assert report["forced ratio"].figures["0.75"] == "area kept 0.75, label weight 0.75"
    assert abs(report["pairs"].figures["self-pairs"] - 1 / 6) <= report["pairs"].figures["bound"]
    assert {h.verdict for h in report.hypotheses} == {"met"}
    assert given._params == untouched, "the module given was called"


def test_kornia_mixup_with_one_ratio_a_batch() -> None:
    report = mt.audit(kornia().RandomMixUpV2(same_on_batch=True, lambda_val=(0.0, 0.5)), SHAPE, draws=60)
    assert report["ratio"].figures["per"] == "batch"
    assert report["roles"].figures["alike"]
    assert "which is assumed" in report["second moment"].answer


def test_kornia_cutmix() -> None:
    report = mt.audit(kornia().RandomCutMixV2(use_correct_lambda=True), SHAPE, draws=500)
    assert report["label"].figures["rule"] == "realised"
    assert report.best.law == "CutMix((8, 12), sampler='inside')" and report.best.fits
    assert report["axes"].answer == "boxes have the proportions of the image"
    assert report["forced ratio"].figures["1"].startswith("refused: ValueError")
    assert report.hypotheses[0].verdict == "not met"
    assert report["roles"].figures["alike"] is False


@pytest.mark.filterwarnings("ignore:RandomCutMixV2 currently uses:DeprecationWarning")
def test_kornia_cutmix_as_it_is_by_default() -> None:
    """The cut area in the class output, read as documented, is the partner's weight."""
    report = mt.audit(kornia().RandomCutMixV2(), SHAPE, draws=60)
    assert report["label"].figures["rule"] == "realised"
    assert "use_correct_lambda=False lambda is the cut area" in report.notes[0]


def test_kornia_jigsaw_and_mosaic_move_pixels() -> None:
    for name in ("RandomJigsaw", "RandomMosaic"):
        with pytest.raises(AuditError, match=rf"{name} .*does not mix pixel by pixel"):
            mt.audit(getattr(kornia(), name)(p=1.0), SHAPE, draws=20)


def test_kornia_cuts_twice() -> None:
    twice = kornia().RandomCutMixV2(num_mix=2, use_correct_lambda=True)
    with pytest.raises(AuditError, match="beside its own: needed are pairs"):
        mt.audit(twice, SHAPE, draws=20)
    shares = draw_shares(twice, SHAPE).shares
    assert torch.equal(shares.sum(1), torch.ones_like(shares[:, 0]))


@pytest.mark.parametrize("mode", ["batch", "pair", "elem"])
def test_timm(mode: str) -> None:
    """timm's defaults: it writes to its input, smooths labels, mixes with the flipped batch, and clips its box."""
    report = mt.audit(timm_mixup()(mixup_alpha=0.0, cutmix_alpha=1.0, mode=mode, num_classes=10), (3, 6, 30), draws=300)
    assert report["label"].figures["rule"] == "realised"
    assert report["ratio"].figures["per"] == {"elem": "sample"}.get(mode, mode)
    assert report["input"].figures == {"x changed": True, "y changed": False}
    assert report["pairs"].figures["self-pairs"] == 0.0 and report["pairs"].figures["fixed"]
    assert report["axes"].answer == "boxes have the proportions of the image"
    assert np.isclose(report.maps.mean.value.sum(), report.maps.mean.value[::-1].sum())


def test_torchvision() -> None:
    v2 = torchvision()
    report = mt.audit(v2.MixUp(num_classes=10), SHAPE, draws=200)
    assert report["mean mask"].figures["exactly constant"] and report["ratio"].figures["per"] == "batch"
    report = mt.audit(v2.CutMix(num_classes=10), SHAPE, draws=200)
    assert report["label"].figures["rule"] == "realised"
