"""Images that the user has on disk: CIFAR's batches for Python, and one folder a class.

CIFAR's files are pickles, which can run code as they are read; here they can make arrays, numbers, text, lists and
dictionaries, and nothing else.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from msda_theory._progress import track

CIFAR_SIDE = 32
#: folder of the archive, files for training, file for testing, and the key of the labels, by the number of classes
CIFAR = {
    10: ("cifar-10-batches-py", tuple(f"data_batch_{k}" for k in range(1, 6)), "test_batch", b"labels"),
    100: ("cifar-100-python", ("train",), "test", b"fine_labels"),
}
SUFFIXES = (".png", ".jpg", ".jpeg")
Labelled = tuple[Tensor, Tensor]


def cifar(folder: Path, classes: int) -> tuple[Labelled, Labelled]:
    """(x, y) for training and for testing: x (m, 3, 32, 32), float32 in [0, 1], y (m,).

    folder : where the archive was unpacked, or the folder in it that has the batches

    Raises ValueError where a file is missing, is no such batch, or holds anything but data.
    """
    inner, train, test, key = CIFAR[classes]
    place = folder / inner if (folder / inner).is_dir() else folder
    missing = [file for file in (*train, test) if not (place / file).is_file()]
    if missing:
        raise ValueError(
            f"cifar{classes}:{folder} has no {', '.join(missing)}: needed is the folder of the unpacked "
            f"cifar-{classes}-python.tar.gz"
        )
    batches = [_batch(place / file, key, classes) for file in train]
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    return (x, y), _batch(place / test, key, classes)


def image_folder(folder: Path, size: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """DIR/class/*.png or .jpg: x (m, 3, size, size), float32 in [0, 1], classes (m,) and their names, sorted.

    Each image is cut to its largest centred square and resized (bilinear, with antialiasing).

    Raises ValueError where there are no two classes with two images each, or an image cannot be read.
    """
    if not folder.is_dir():
        raise ValueError(f"folder:{folder} is not a folder: needed is DIR/class/*.png or *.jpg")
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    files = [(path, k) for k, name in enumerate(names) for path in _images_in(folder / name)]
    counts = np.bincount([k for _, k in files], minlength=len(names))
    if len(names) < 2 or counts.min() < 2:
        found = ", ".join(f"{name} ({count})" for name, count in zip(names, counts, strict=True)) or "no classes"
        raise ValueError(f"folder:{folder} holds {found}: needed are two classes or more, with two images or more each")
    images = [_read(path, size) for path, _ in track(files, "reading images")]
    return torch.stack(images), torch.tensor([k for _, k in files]), tuple(names)


def _images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _read(path: Path, size: int) -> Tensor:
    try:
        with Image.open(path) as image:
            square = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    return torch.from_numpy(np.array(square)).permute(2, 0, 1).float() / 255


def _batch(path: Path, key: bytes, classes: int) -> Labelled:
    with path.open("rb") as stream:
        try:
            content = _DataUnpickler(stream).load()
        except Exception as error:  # a damaged pickle raises almost anything
            raise ValueError(f"{path} cannot be read: {error}; needed is a batch of CIFAR-{classes}") from error
    data, labels = (content.get(k) if isinstance(content, dict) else None for k in (b"data", key))
    pixels = 3 * CIFAR_SIDE**2
    if not (isinstance(data, np.ndarray) and data.dtype == np.uint8 and data.ndim == 2 and data.shape[1] == pixels):
        raise ValueError(f"{path}: needed is b'data', bytes (m, {pixels}), as in a batch of CIFAR-{classes}")
    if not (isinstance(labels, list) and len(labels) == len(data) and all(_is_class(k, classes) for k in labels)):
        raise ValueError(f"{path}: needed is {key!r}, a list of {len(data)} classes below {classes}")
    return torch.from_numpy(data).float().reshape(-1, 3, CIFAR_SIDE, CIFAR_SIDE) / 255, torch.tensor(labels)


def _is_class(label: object, classes: int) -> bool:
    return isinstance(label, int) and 0 <= label < classes


class _DataUnpickler(pickle.Unpickler):
    """Python 2's strings become bytes; of all that a pickle can call, only what makes arrays is found."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in HARMLESS:
            raise pickle.UnpicklingError(f"it calls {module}.{name}, and only data is read")
        return HARMLESS[module, name]


def _latin(text: str, encoding: str) -> bytes:
    """What numpy's pickles make their bytes with under Python 3."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes as {encoding}")
    return text.encode("latin1")


def _reconstruct(kind: type, shape: tuple[int, ...], code: bytes) -> np.ndarray:
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it makes a {kind}")
    return np.ndarray(0, np.int8)  # __setstate__ gives it type, shape and content


HARMLESS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin,
}
