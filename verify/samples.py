"""The data that the command line names: built in, an .npz file, or a set of images."""

from __future__ import annotations

import zipfile
import zlib
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from verify.image_sets import ON_DISK, PACKAGED, ImageSet, image_set
from verify.networks import NETWORKS
from verify.problems import digits, two_moons

TABLES: dict[str, Callable[..., tuple[np.ndarray, np.ndarray]]] = {
    "breast_cancer": load_breast_cancer,
    "iris": load_iris,
    "wine": load_wine,
}
MOONS, IMAGES, DIGITS = 200, 50, 1797
NAMED = ("two-moons", *PACKAGED, *TABLES, *(f"{kind}:DIR" for kind in ON_DISK))


@dataclass(frozen=True)
class Samples:
    """What is mixed: x (m, ...) in float64 and y; and the set of images that they were chosen from, if any."""

    x: Tensor
    y: Tensor
    images: ImageSet | None = None


def data(settings: Namespace) -> Samples:
    """The data of the settings; `--samples` of them, chosen by the seed where there are more."""
    name = settings.data
    plain_digits = name == "digits" and settings.model not in NETWORKS and settings.size is None
    if not plain_digits and (name in PACKAGED or name.partition(":")[0] in ON_DISK):
        return _of_images(settings)
    if settings.size is not None:
        raise ValueError(f"--size={settings.size} with --data={name}: it belongs to sets of images")
    if name == "two-moons":
        return Samples(*two_moons(settings.samples or MOONS, seed=settings.seed))
    if plain_digits:
        _require_enough(settings, DIGITS)
        return Samples(*digits(settings.samples or IMAGES, seed=settings.seed))
    return Samples(*_some(settings, *(_table(name) if name in TABLES else _arrays(name)), None))


def _of_images(settings: Namespace) -> Samples:
    images = image_set(settings.data, size=settings.size, seed=settings.seed)
    return Samples(*_some(settings, images.train_x.double(), images.train_y, min(IMAGES, len(images.train_x))), images)


def _some(settings: Namespace, x: Tensor, y: Tensor, usual: int | None) -> tuple[Tensor, Tensor]:
    _require_enough(settings, len(x))
    count = settings.samples or usual
    if count is None:
        return x, y
    chosen = torch.from_numpy(np.random.default_rng(settings.seed).permutation(len(x))[:count])
    return x[chosen], y[chosen]


def _require_enough(settings: Namespace, most: int) -> None:
    if settings.samples is not None and settings.samples > most:
        raise ValueError(f"--samples={settings.samples}: {settings.data} has {most}")


def _table(name: str) -> tuple[Tensor, Tensor]:
    """Every column with mean 0 and variance 1."""
    x, y = TABLES[name](return_X_y=True)
    return torch.from_numpy(StandardScaler().fit_transform(x)), torch.from_numpy(y).long()


def _arrays(name: str) -> tuple[Tensor, Tensor]:
    need = f"needed is one of {', '.join(NAMED)}, or an .npz file with arrays x and y"
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
