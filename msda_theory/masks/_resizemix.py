"""ResizeMix: the whole partner, made small, in a box  (Qin et al., 2020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from msda_theory._validation import require_kind
from msda_theory.masks._boxes import CutMix


class ResizeMix:
    """M x + (1-M) T_M(partner): x outside a box and, inside it, the whole partner resized to the box.

    The box is that of CutMix(shape, sampler="inside"): sides [sqrt(1-lambda) n], any position in the image.  (Qin et
    al. draw its scale tau = sqrt(1-lambda) uniformly.)  Each pixel of the box is the mean of the partner's pixels that
    fall on it.

    This is no mask law, and an `Augmentation` refuses it: T_M(partner) is not the partner and differs from mask to
    mask, so that neither the exact loss of M x_i + (1-M) x_j nor its expansion in M is that of ResizeMix.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._boxes = CutMix(shape, sampler="inside")
        self.shape = self._boxes.shape

    def draw(self, ratio: Tensor, seed: int | np.random.Generator | None = None) -> Tensor:
        """One box a ratio, as the mask that is 0 in it and 1 outside: ratio (n,) in [0, 1] to masks (n, H, W).

        The label weight of x is the ratio, or `masks.mean((1, 2))` as Qin et al. have it.
        """
        return self._boxes.sample(ratio, seed)

    def paste(self, x: Tensor, partner: Tensor, masks: Tensor) -> Tensor:
        """The mixed images: x, partner (n, ..., H, W), masks (n, H, W) 0 in one box; of the dtype and device of x.

        Raises TypeError or ValueError where images and masks do not fit one another, or a mask is not 0 in a box.
        """
        self._require_fitting(x, partner, masks)
        mixed = x.clone()
        for image, other, mask in zip(mixed, partner, masks, strict=True):
            rows, columns = _box(mask)
            if len(rows) > 0:
                size = (len(rows), len(columns))
                patch = interpolate(other.reshape(-1, 1, *self.shape).to(x), size=size, mode="area")
                image[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = patch.reshape(
                    *image.shape[:-2], *size
                )
        return mixed

    def _require_fitting(self, x: Tensor, partner: Tensor, masks: Tensor) -> None:
        for name, value in (("x", x), ("partner", partner), ("masks", masks)):
            require_kind(name, value, Tensor)
        need = ", ".join(map(str, self.shape))
        for name, value in (("x", x), ("partner", partner)):
            if not value.is_floating_point():
                raise TypeError(f"{name} has dtype {value.dtype}: needed is a floating dtype, as in {name}.double()")
            if value.shape != x.shape or value.ndim < 3 or value.shape[-2:] != self.shape:
                given = f"{name} has shape {tuple(value.shape)}"
                raise ValueError(f"{given}: needed are images (n, ..., {need}), x and partner alike")
        if masks.shape != (len(x), *self.shape):
            raise ValueError(f"masks has shape {tuple(masks.shape)}: needed is ({len(x)}, {need}), a mask an image")
        for k, mask in enumerate(masks):
            inside = torch.ones_like(mask)
            inside[torch.meshgrid(*_box(mask), indexing="ij")] = 0
            if not torch.equal(mask, inside):
                raise ValueError(f"masks[{k}] is not 0 in one box and 1 outside: needed is a mask as `draw` gives")

    def __repr__(self) -> str:
        return f"ResizeMix({self.shape})"


def _box(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and columns between the outermost zeros."""
    zeros = (mask == 0).nonzero()
    if len(zeros) == 0:
        return zeros.flatten(), zeros.flatten()
    (top, left), (bottom, right) = zeros.amin(0).tolist(), zeros.amax(0).tolist()
    rows, columns = (torch.arange(a, b + 1, device=mask.device) for a, b in ((top, bottom), (left, right)))
    return rows, columns
