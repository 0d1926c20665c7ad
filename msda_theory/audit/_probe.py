"""Reading a callable that mixes a batch: the share of every input in every pixel of every output.

Within one call the callable is taken for linear in the batch, given its random state.  Under the same seeds it is
called with indicator batches, in which channel c of one input is one and all else is zero, so that output i, channel c
is the share of that input.  A random batch under the same seeds then tries the whole account.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory.audit._adapters import Adapter, Mixed
from msda_theory.audit._labels import AuditError


class AugmentationFailedError(AuditError):
    """The callable itself raised; its exception, with its traceback, is the cause of this one."""


@dataclass(frozen=True)
class Shares:
    """One draw: shares (n, n, H, W), output by input; label weights (n, n) or None; what was written to."""

    shares: Tensor
    weights: Tensor | None
    x_changed: bool
    labels_changed: bool


@contextmanager
def global_state_kept() -> Iterator[None]:
    """The random states of torch (CPU), numpy and random are put back when the block ends.

    Inside, torch has one thread: the batches are so small that several only wait for one another.
    """
    numpy_state, python_state, threads = np.random.get_state(), random.getstate(), torch.get_num_threads()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


def seed_all(seed: int) -> None:
    """Seed the global generators that augmentations draw from; CUDA's are left alone, the probes live on the CPU."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)


def read_shares(adapter: Adapter, shape: tuple[int, int, int], n: int, seed: int) -> Shares:
    """The shares of one draw, tried on a random batch; AuditError where the callable is no pixelwise linear mix."""
    channels = shape[0]
    batches = [_indicators(n, shape, first) for first in range(0, n, channels)]
    trial = torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))
    results = [_call(adapter, batch, seed) for batch in [*batches, trial]]
    columns = [images.movedim(1, 0) for images, _, _ in results[:-1]]
    shares = torch.cat(columns)[:n].movedim(0, 1)
    images, mixed, _ = results[-1]
    residual = (images - torch.einsum("ikhw,kchw->ichw", shares, trial)).abs().max()
    if not float(residual) <= _tolerance(shares, trial):
        raise _explained(adapter, trial, seed, float(residual), _tolerance(shares, trial))
    changed = any(x_changed for _, _, x_changed in results)
    return Shares(shares, mixed.weights, changed, any(m.labels_changed for _, m, _ in results))


def _indicators(n: int, shape: tuple[int, int, int], first: int) -> Tensor:
    """Input first + c is one in channel c, for each channel; all else is zero."""
    batch = torch.zeros(n, *shape)
    for c, k in enumerate(range(first, min(first + shape[0], n))):
        batch[k, c] = 1
    return batch


def _tolerance(shares: Tensor, trial: Tensor) -> float:
    """A pixel sums n products; the callable, the shares and this sum each round a few times: 8 n eps of the largest."""
    largest = max(1.0, float(shares.abs().max())) * float(trial.abs().max())
    return 8 * len(shares) * torch.finfo(trial.dtype).eps * largest


def _call(adapter: Adapter, x: Tensor, seed: int) -> tuple[Tensor, Mixed, bool]:
    given = x.clone()
    seed_all(seed)
    try:
        mixed = adapter.call(given)
    except AuditError:
        raise
    except Exception as error:
        raise AugmentationFailedError(
            f"{adapter.name}, on a batch of shape {tuple(x.shape)}, raised {type(error).__name__}: {error}"
        ) from error
    images = mixed.images
    if not isinstance(images, Tensor) or images.shape != x.shape:
        what = f"shape {tuple(images.shape)}" if isinstance(images, Tensor) else f"a {type(images).__name__}"
        raise AuditError(
            f"{adapter.name} returned {what} for images of shape {tuple(x.shape)}: needed is the same shape"
        )
    if not bool(torch.isfinite(images).all()):
        raise AuditError(f"{adapter.name} returned NaN or inf for finite images")
    return images.detach().float(), mixed, not torch.equal(given, x)


def _explained(adapter: Adapter, trial: Tensor, seed: int, residual: float, tolerance: float) -> AuditError:
    """Why the shares do not account for the output: chance, nonlinearity, or pixels that move."""

    def f(x: Tensor) -> Tensor:
        return _call(adapter, x, seed)[0]

    def off(make: Callable[[], Tensor]) -> float:
        return float(make().abs().max())

    again = off(lambda: f(trial) - f(trial))
    if again > 0:
        return AuditError(
            f"{adapter.name} gives another result under the same seeds (off by {again:.3g}): it draws from a generator "
            f"of its own, needed is one that draws from the global state of torch, numpy or random"
        )
    other = trial.flip(0) + 1
    linear = off(lambda: f(trial + other) - f(trial) - f(other))
    if linear > 4 * tolerance:
        return AuditError(
            f"{adapter.name} is not linear in the batch: f(u + v) - f(u) - f(v) reaches {linear:.3g}, rounding allows "
            f"{4 * tolerance:.2g}; what depends on the images (as saliency does), adds noise or normalises has no mask"
        )
    return AuditError(
        f"{adapter.name} is linear but does not mix pixel by pixel: M * x_i + (1-M) * x_j misses its output by "
        f"{residual:.3g}, rounding allows {tolerance:.2g}; it moves pixels, or treats channels differently"
    )
