"""Which pixel distances an augmentation regularises: R2 as a sum over pairs of pixels, by how far they lie apart.

    R2 = 1/2m sum_i sum_jk A_jk C_i,jk G_i,jk,      G_i = J_i^T h''(f_i) J_i = sum_l s_l g_il g_il^T

With v = N * (r - x_i) one move of sample i, A * C_i = E[v v^T], and u = v * g_il an image (summed over the channels),

    v^T G_i v = sum_l s_l sum_delta sum_p u_p u_(p+delta),

the autocorrelation of u, which the Fourier transform gives for all displacements delta at once.  So the share of every
displacement is exact for the moves that are drawn, for any mask law and label rule and for images of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor
from torch.func import vmap

from msda_theory._model import outputs
from msda_theory._sharding import in_parts
from msda_theory._shown import Shown
from msda_theory._validation import require_at_least, require_data, require_eval_mode, require_kind
from msda_theory.augmentation import Augmentation
from msda_theory.derivatives import CHUNK_ELEMENTS, explained, single
from msda_theory.expansions.moves import Directions, drawn_moves
from msda_theory.losses import Loss

#: up to which share of the shorter side two pixels are near each other, and not far
NEAR, MIDDLE = 1 / 8, 1 / 2


@dataclass(frozen=True)
class Band:
    """Pairs of pixels that are more than `above` and at most `up_to` pixels apart (Euclidean).

    pairs : their share of all pairs            coefficient : the mean of E[N_j N_k] over them
    r2 : their part of R2, with its standard error `error`; r2 / R2 = `share`, with `share_error`
    """

    name: str
    above: float
    up_to: float
    pairs: float
    coefficient: float
    r2: float
    error: float
    share: float
    share_error: float


@dataclass(frozen=True)
class DistanceProfile(Shown):
    """R2 in four bands of distance, from `directions` drawn moves; their sum is `total`."""

    bands: tuple[Band, ...]
    directions: int

    @property
    def total(self) -> float:
        return sum(band.r2 for band in self.bands)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "total": self.total}

    def __rich__(self) -> Table:
        table = Table(title=f"R2 by the distance of two pixels, {self.directions} moves drawn", title_justify="left")
        table.add_column("distance")
        for name in ("pixels", "pairs", "mean coefficient", "part of R2", "share of R2"):
            table.add_column(name, justify="right")
        for band in self.bands:
            reach = f"> {band.above:g}" if band is self.bands[-1] else f"<= {band.up_to:g}" if band.up_to else "0"
            part = f"{band.r2:+.3e} +- {band.error:.0e}"
            share = f"{band.share:.1%} +- {band.share_error:.1%}"
            table.add_row(band.name, reach, f"{band.pairs:.1%}", f"{band.coefficient:.4f}", part, share)
        return table


def r2_by_distance(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    directions: int = 64,
    seed: int | np.random.Generator | None = None,
) -> DistanceProfile:
    """R2 of `taylor_loss(..., directions=directions, seed=seed)` by the distance of the pixels of its pairs.

    x (m, ..., H, W).  The cost is a backward pass of the data an output, and m K `directions` Fourier transforms.

    Raises
    ------
    ValueError, TypeError, TransformRefusedError
        as `taylor_loss` does; ValueError where x holds no images.
    """
    require_kind("loss", loss, Loss)
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    require_eval_mode(model)
    require_at_least("directions", directions, 2, "for a standard error")
    if x.ndim < 3:
        raise ValueError(f"x has shape {tuple(x.shape)}: needed are images (m, ..., H, W)")
    with torch.no_grad():
        f = outputs(model, x)
        loss.prepare(y, f)
        moves = drawn_moves(augmentation, x, directions, seed).directions[0]
        bands = _bands(x.shape[-2], x.shape[-1])
        forms = _forms(model, x, loss.h2(f), moves, torch.stack([member for _, _, member in bands]))
        assert moves.factor is not None
        shares = moves.factor * directions**0.5
        coefficients = _correlations(shares.reshape(directions, -1, *x.shape[-2:]).mean(1).double()).mean(0).cpu()
    return DistanceProfile(_as_bands(bands, forms, coefficients, *x.shape[-2:]), directions)


def _forms(
    model: Callable[[Tensor], Tensor], x: Tensor, curvature: Tensor, moves: Directions, members: Tensor
) -> Tensor:
    """v^T G_i v / 2 of each move, its part in each band, the mean over the samples: (S, bands), float64."""
    values, vectors = torch.linalg.eigh(curvature)
    weights = vectors * values.abs().sqrt().unsqueeze(-2)
    kept = (values.abs() > torch.finfo(x.dtype).eps * values.abs().amax()).any(0).nonzero().flatten().tolist()
    size = max(1, CHUNK_ELEMENTS // (4 * len(moves) * x[0].numel()))
    parts = [(k, slice(start, start + size)) for k in kept for start in range(0, len(x), size)]
    members = members.to(x.device)

    def part_of(part: tuple[int, slice]) -> Tensor:
        k, rows = part
        with explained():
            gradient = vmap(_gradient(model))(x[rows], weights[rows, :, k])
        u = moves.of(rows, slice(None)).unflatten(-1, x.shape[1:]) * gradient
        signed = _correlations(_one_channel(u), values[rows, k].sign())
        return torch.einsum("sxy,bxy->sb", signed, members.to(signed)).flatten()

    # moves are scaled so that their squares sum to the moment: back to one move each
    found = in_parts("gradients by distance", part_of, parts).sum(0).unflatten(0, (len(moves), len(members)))
    return found.cpu() * len(moves) / (2 * len(x))


def _gradient(model: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return torch.func.grad(lambda sample, weights: (weights * single(model, sample)).sum())


def _one_channel(u: Tensor) -> Tensor:
    """Summed over the axes between those of moves and samples and those of the image: (S, n, H, W)."""
    return u.flatten(2, -3).sum(2) if u.ndim > 4 else u


def _correlations(u: Tensor, signs: Tensor | None = None) -> Tensor:
    """sum_p u_p u_(p+delta) of images (S, H, W) or, summed over n with signs (n,), (S, n, H, W): (S, 2H, 2W).

    Displacement delta is at the index delta modulo (2H, 2W).
    """
    size = [2 * n for n in u.shape[-2:]]
    power = torch.fft.rfft2(u, s=size).abs().square()
    if signs is not None:
        power = (power * signs.reshape(-1, 1, 1)).sum(1)
    return torch.fft.irfft2(power, s=size)


def _bands(height: int, width: int) -> list[tuple[str, tuple[float, float], Tensor]]:
    """Name, limits, and which displacements (2H, 2W) lie between them."""
    rows, columns = (torch.fft.fftfreq(2 * n, 1 / (2 * n)) for n in (height, width))
    distance = torch.hypot(*torch.meshgrid(rows, columns, indexing="ij"))
    side, diagonal = min(height, width), float(np.hypot(height - 1, width - 1))
    edges = (-1.0, 0.0, max(1.0, NEAR * side), max(1.0, MIDDLE * side), max(diagonal, 1.0))
    names = ("the same pixel", "near", "middle", "far")
    inside = zip(names, edges, edges[1:], strict=False)
    return [(name, (a, b), ((distance > a) & (distance <= b)).double()) for name, a, b in inside]


def _as_bands(
    bands: list[tuple[str, tuple[float, float], Tensor]], forms: Tensor, coefficients: Tensor, height: int, width: int
) -> tuple[Band, ...]:
    pairs = _correlations(torch.ones(1, height, width, dtype=torch.float64))[0].round()
    totals, made = forms.sum(1), []
    total = float(totals.mean())
    for (name, (above, up_to), member), form in zip(bands, forms.T, strict=True):
        count, r2 = float((pairs * member).sum()), float(form.mean())
        share = r2 / total if total else 0.0
        error, share_error = (float(v.std() / len(v) ** 0.5) for v in (form, form - share * totals))
        coefficient = float((coefficients * member).sum()) / count if count else 0.0
        of_all, of_total = count / float(pairs.sum()), share_error / abs(total) if total else 0.0
        made.append(Band(name, max(above, 0.0), up_to, of_all, coefficient, r2, error, share, of_total))
    return tuple(made)
