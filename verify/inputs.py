"""What the command line names: data, labels, augmentation and loss.  Errors name the argument and what is needed."""

from __future__ import annotations

import zipfile
import zlib
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from msda_theory import Augmentation, Beta, masks
from msda_theory.losses import Loss
from verify.problems import LOSSES, digits, two_moons

BUILT_IN_DATA = {"two-moons": (two_moons, 200, None), "digits": (digits, 50, 1797)}
#: options of each mask law, with their defaults
MASK_OPTIONS: dict[str, dict[str, Any]] = {
    "mixup": {},
    "bernoulli": {},
    "cutmix": {"sampler": "inside"},
    "hmix": {"r": 0.5, "sampler": "inside"},
    "gmix": {"kernel": "printed"},
    "stochastic": {"q": 0.5, "sampler": "inside"},
}
WITH_GEOMETRY = {"cutmix": masks.CutMix, "hmix": masks.HMix, "gmix": masks.GMix, "stochastic": masks.Stochastic}
METHOD_OPTIONS: dict[str, dict[str, Any]] = {"enumerate": {"rtol": 1e-6}, "monte-carlo": {"draws": 100_000}}


def data(settings: Namespace) -> tuple[Tensor, Tensor]:
    """x (m, ...) in float64 and y; `--samples` of them, chosen by the seed where there are more."""
    name, samples = settings.data, settings.samples
    if name in BUILT_IN_DATA:
        make, default, most = BUILT_IN_DATA[name]
        if most is not None and samples is not None and samples > most:
            raise ValueError(f"--samples={samples}: {name} has {most}")
        return make(samples or default, seed=settings.seed)
    x, y = _arrays(name)
    if samples is None:
        return x, y
    if samples > len(x):
        raise ValueError(f"--samples={samples}: {name} has {len(x)}")
    chosen = torch.from_numpy(np.random.default_rng(settings.seed).permutation(len(x))[:samples])
    return x[chosen], y[chosen]


def _arrays(name: str) -> tuple[Tensor, Tensor]:
    need = "needed is 'two-moons', 'digits' or an .npz file with arrays x and y"
    if not Path(name).is_file():
        raise ValueError(f"--data={name}: no such file; {need}")
    try:
        archive = np.load(name, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array, not an archive")
        with archive:
            missing = [key for key in ("x", "y") if key not in archive]
            if missing:
                found = ", ".join(archive.files) or "nothing"
                raise ValueError(f"it has no array {' and no array '.join(missing)}, it holds {found}")
            x, y = archive["x"], archive["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"--data={name} cannot be read: {error}; {need}") from error
    return _inputs(x, name), _labels(y, len(x), name)


def _inputs(x: np.ndarray, name: str) -> Tensor:
    if x.dtype.kind not in "fiub" or x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"--data={name}: x is {x.dtype} of shape {x.shape}: needed are real numbers (m, ...), m >= 2")
    return torch.from_numpy(x.astype(np.float64))


def _labels(y: np.ndarray, m: int, name: str) -> Tensor:
    if y.dtype.kind not in "fiub" or y.ndim not in (1, 2) or 0 in y.shape:
        raise ValueError(f"--data={name}: y is {y.dtype} of shape {y.shape}: needed are numbers (m,) or (m, K)")
    if len(y) != m:
        raise ValueError(f"--data={name}: x holds {m} samples and y {len(y)}: needed is one label a sample")
    return torch.from_numpy(y.astype(np.float64 if y.dtype.kind == "f" else np.int64))


def augmentation(settings: Namespace, x: Tensor) -> Augmentation:
    """The augmentation of the settings, for masks of the shape of what x holds."""
    kind = settings.msda
    options = chosen(settings, MASK_OPTIONS, "msda")
    if kind in WITH_GEOMETRY:
        if x.ndim < 3:
            raise ValueError(
                f"--msda={kind} cuts images, x has shape {tuple(x.shape)}: needed is (m, ..., H, W); mixup and "
                f"bernoulli take any shape"
            )
        mask = WITH_GEOMETRY[kind](tuple(x.shape[-2:]), **options)
    else:
        mask = (masks.Mixup if kind == "mixup" else masks.Bernoulli)(tuple(x.shape[1:]))
    return Augmentation(Beta(settings.alpha, settings.beta), mask, label=settings.label)


def chosen(settings: Namespace, table: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """The options that belong to the choice made for `key`, defaults filled in; an error for one that does not."""
    choice = getattr(settings, key)
    for option in sorted({o for options in table.values() for o in options} - set(table[choice])):
        if getattr(settings, option) is not None:
            owners = ", ".join(c for c in table if option in table[c])
            raise ValueError(f"--{option}={getattr(settings, option)} with --{key}={choice}: it belongs to {owners}")
    given = {option: getattr(settings, option) for option in table[choice]}
    return {o: table[choice][o] if value is None else value for o, value in given.items()}


def loss_for_outputs(name: str, outputs: Tensor) -> Loss:
    """The loss named; "auto" is softmax cross-entropy for several outputs and logistic for one."""
    if name == "auto":
        name = "softmax" if outputs.shape[1] > 1 else "logistic"
    return LOSSES[name]()
