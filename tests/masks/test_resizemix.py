"""ResizeMix: the box is CutMix's, the patch is the whole partner, and nothing takes it for a mask law."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from msda_theory import Augmentation, Beta
from msda_theory.masks import CutMix, MaskLaw, ResizeMix
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import bounded_mean, rounding

ALLOWED = rounding(torch.float64, 8.0, 64)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def mask_of(shape: tuple[int, int], rows: range, columns: range) -> Tensor:
    mask = torch.ones(shape, dtype=torch.float64)
    for i in rows:
        mask[i, list(columns)] = 0
    return mask


def resized(image: list[list[float]], height: int, width: int) -> list[list[float]]:
    """Means over the pixels that fall on each: rows floor(i H/h) to ceil((i+1) H/h)."""
    down, across = len(image), len(image[0])
    patch = []
    for i in range(height):
        rows = range(i * down // height, -(-(i + 1) * down // height))
        line = []
        for j in range(width):
            columns = range(j * across // width, -(-(j + 1) * across // width))
            values = [image[r][c] for r in rows for c in columns]
            line.append(sum(values) / len(values))
        patch.append(line)
    return patch


@pytest.mark.parametrize("shape", [(4, 6), (5, 3)])
def test_the_patch_is_the_whole_partner_by_area(shape: tuple[int, int]) -> None:
    method = ResizeMix(shape)
    for height in range(1, shape[0] + 1):
        for width in range(1, shape[1] + 1):
            top, left = shape[0] - height, (shape[1] - width) // 2
            mask = mask_of(shape, range(top, top + height), range(left, left + width))
            x, partner = images(1, *shape), images(1, *shape, seed=1)
            mixed = method.paste(x, partner, mask.unsqueeze(0))[0]
            patch = resized(partner[0].tolist(), height, width)
            assert_close(mixed[top : top + height, left : left + width], patch, ALLOWED, f"{height} x {width}")
            assert torch.equal(mixed[mask == 1], x[0][mask == 1])


def test_the_full_box_is_the_partner_and_none_is_x() -> None:
    method, x, partner = ResizeMix((4, 4)), images(2, 3, 4, 4), images(2, 3, 4, 4, seed=1)
    whole = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)])
    mixed = method.paste(x, partner, whole)
    assert_close(mixed[0], partner[0], ALLOWED)
    assert torch.equal(mixed[1], x[1])


def test_boxes_are_those_of_cutmix_inside() -> None:
    """Against the list of tests/oracles.py, as in the conformance suite."""
    shape, ratio, draws = (3, 4), 0.6, 4000
    masks = ResizeMix(shape).draw(torch.full((draws,), ratio, dtype=torch.float64), seed=3)
    expected = oracles.distribution(oracles.box(shape, "inside")(Fraction(3, 5)))
    found, counts = torch.unique(masks.flatten(1), dim=0, return_counts=True)
    share = {tuple(mask): n / draws for mask, n in zip(found.tolist(), counts.tolist(), strict=True)}
    assert share.keys() == expected.keys()
    for mask, probability in expected.items():
        assert abs(share[mask] - probability) <= bounded_mean(
            probability * (1 - probability), draws, comparisons=len(expected)
        )


def test_draw_and_paste_go_together() -> None:
    """One ratio an image, channels share the box, any ratio; nothing that is given is changed."""
    method, ratio = ResizeMix((6, 5)), torch.linspace(0, 1, 9, dtype=torch.float64)
    x, partner = images(9, 2, 6, 5), images(9, 2, 6, 5, seed=1)
    before = [v.clone() for v in (x, partner, ratio)]
    masks = method.draw(ratio, seed=2)
    mixed = method.paste(x, partner, masks)
    assert mixed.shape == x.shape
    assert all(torch.equal(a, b) for a, b in zip((x, partner, ratio), before, strict=True))
    kept = masks.unsqueeze(1).expand_as(x) == 1
    assert torch.equal(mixed[kept], x[kept])
    assert torch.equal(method.draw(ratio, seed=2), masks)
    sides = [CutMix((6, 5), sampler="inside").sides(r) for r in ratio.tolist()]
    assert [int((m == 0).sum()) for m in masks] == [h * w for h, w in sides]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_dtype_is_that_of_x(dtype: torch.dtype) -> None:
    method, x = ResizeMix((4, 4)), images(3, 4, 4).to(dtype)
    mixed = method.paste(x, x.flip(0), method.draw(torch.full((3,), 0.5), seed=0))
    assert mixed.dtype == dtype
    assert mixed.isfinite().all()


def test_constant_images_are_mixed_as_by_cutmix() -> None:
    """Where the resized image is the image, and only there in general, the two agree."""
    method, masks = ResizeMix((4, 4)), ResizeMix((4, 4)).draw(torch.full((2,), 0.4, dtype=torch.float64), seed=1)
    flat, other = torch.full((2, 4, 4), 2.0).double(), torch.full((2, 4, 4), -1.0).double()
    assert_close(method.paste(flat, other, masks), masks * flat + (1 - masks) * other, ALLOWED)
    x, partner = images(2, 4, 4), images(2, 4, 4, seed=1)
    assert (method.paste(x, partner, masks) - (masks * x + (1 - masks) * partner)).abs().max() > 0.1


def test_it_is_no_mask_law() -> None:
    method = ResizeMix((4, 4))
    assert not isinstance(method, MaskLaw)
    with pytest.raises(TypeError, match="mask is a ResizeMix: needed is a MaskLaw"):
        Augmentation(Beta(1.0, 1.0), method)  # type: ignore[arg-type]
    assert repr(method) == "ResizeMix((4, 4))"


GOOD = images(2, 4, 4)
MASKS = torch.ones(2, 4, 4)
HOLES = torch.ones(2, 4, 4)
HOLES[1, 0, 0] = HOLES[1, 2, 2] = 0
BAD = [
    ((GOOD.tolist(), GOOD, MASKS), TypeError, "x is a list: needed is a Tensor"),
    ((GOOD.int(), GOOD, MASKS), TypeError, r"x has dtype torch.int32: needed is a floating dtype"),
    ((GOOD, GOOD[:1], MASKS), ValueError, r"partner has shape \(1, 4, 4\): needed are images \(n, ..., 4, 4\)"),
    ((GOOD[..., :3], GOOD[..., :3], MASKS), ValueError, r"x has shape \(2, 4, 3\)"),
    ((GOOD, GOOD, MASKS[:1]), ValueError, r"masks has shape \(1, 4, 4\): needed is \(2, 4, 4\)"),
    ((GOOD, GOOD, HOLES), ValueError, r"masks\[1\] is not 0 in one box and 1 outside"),
    ((GOOD, GOOD, MASKS / 2), ValueError, r"masks\[0\] is not 0 in one box and 1 outside"),
]


@pytest.mark.parametrize(("given", "error", "message"), BAD)
def test_images_and_masks_that_do_not_fit_are_refused(given: tuple, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ResizeMix((4, 4)).paste(*given)


def test_ratios_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ratio=1.5: needed is a number in \[0, 1\]"):
        ResizeMix((4, 4)).draw(torch.tensor([1.5]))
    with pytest.raises(ValueError, match=r"shape=\(4,\): needed are 2 positive integers"):
        ResizeMix((4,))
