"""Images that the user has on disk, in the formats of MNIST and its kin (IDX) and of SVHN (MATLAB)."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import scipy.io
import torch

from verify.image_files import Labelled

UNSIGNED_BYTES = 8  # IDX's code of the type
SVHN_FILES = ("train_32x32.mat", "test_32x32.mat")
ZERO = 10  # SVHN's label of the digit 0


def idx(folder: Path) -> tuple[Labelled, Labelled]:
    """MNIST, Fashion-MNIST, Kuzushiji-MNIST: (x, y) for training and for testing, x (m, 1, h, w) in [0, 1], y (m,).

    folder : has train-images-idx3-ubyte, train-labels-idx1-ubyte and the same two of t10k, each as it is or with .gz

    Raises ValueError where a file is missing or is no such array.
    """
    train, test = (
        (_idx_array(folder, f"{part}-images-idx3-ubyte", 3), _idx_array(folder, f"{part}-labels-idx1-ubyte", 1))
        for part in ("train", "t10k")
    )
    return _labelled(folder, *train), _labelled(folder, *test)


def svhn(folder: Path) -> tuple[Labelled, Labelled]:
    """Street View House Numbers, cropped: (x, y) for training and for testing, x (m, 3, 32, 32) in [0, 1], y (m,).

    folder : has train_32x32.mat and test_32x32.mat

    Raises ValueError where a file is missing or is not as it should be.
    """
    train, test = (_svhn_file(folder / name) for name in SVHN_FILES)
    return train, test


def _idx_array(folder: Path, name: str, axes: int) -> np.ndarray:
    paths = [folder / name, folder / f"{name}.gz"]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ValueError(f"{folder} has no {name} or {name}.gz: needed is the folder with the set's four files")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zero, code, found, *sizes = struct.unpack_from(f">HBB{axes}I", content)
    except (OSError, EOFError, struct.error) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    start = 4 + 4 * axes
    if (zero, code, found) != (0, UNSIGNED_BYTES, axes) or len(content) - start != int(np.prod(sizes)):
        raise ValueError(f"{path}: needed is an IDX file of unsigned bytes with {axes} axes, whole")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def _labelled(folder: Path, images: np.ndarray, labels: np.ndarray) -> Labelled:
    if len(images) != len(labels):
        raise ValueError(f"{folder} has {len(images)} images and {len(labels)} labels: needed are as many")
    return torch.from_numpy(images.copy()).float().unsqueeze(1) / 255, torch.from_numpy(labels.astype(np.int64))


def _svhn_file(path: Path) -> Labelled:
    if not path.is_file():
        raise ValueError(f"{path.parent} has no {path.name}: needed is the folder with {' and '.join(SVHN_FILES)}")
    try:
        content = scipy.io.loadmat(path, variable_names=("X", "y"))
        images, labels = content["X"], content["y"].ravel().astype(np.int64)
    except (OSError, ValueError, NotImplementedError, KeyError) as error:
        raise ValueError(f"{path} cannot be read: {error}; needed are X and y of SVHN, cropped digits") from error
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3 or images.shape[3] != len(labels):
        raise ValueError(f"{path}: X has shape {images.shape}, needed is (h, w, 3, m), bytes, and m labels")
    return torch.from_numpy(images.transpose(3, 2, 0, 1).copy()).float() / 255, torch.from_numpy(labels % ZERO)
