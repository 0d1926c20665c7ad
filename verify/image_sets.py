"""Labelled images by name: what ships with scikit-learn and scikit-image, and what lies on the user's disk.

    digits           scikit-learn's handwritten digits, 1 x 8 x 8, 10 classes
    lfw              scikit-image's lfw_subset, 1 x 25 x 25, 100 faces and 100 patches without a face
    textures         3 x 32 x 32 patches of ten photographs that ship with scikit-image, one class a photograph
    cifar10:DIR, cifar100:DIR, folder:DIR    see `image_files`
    idx:DIR (MNIST and its kin), svhn:DIR    see `digit_files`
    speech:DIR       spectrograms of spoken words, see `speech_files`

Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import skimage.data
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import interpolate

from msda_theory._validation import require_at_least
from verify.digit_files import idx, svhn
from verify.image_files import Labelled, cifar, image_folder
from verify.speech_files import speech

#: share of the images, or of the blocks of a photograph, that the test set gets
TEST_SHARE = 0.25
PATCH = 32
PHOTOGRAPHS: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": skimage.data.astronaut,
    "brick": skimage.data.brick,
    "cat": skimage.data.cat,
    "coffee": skimage.data.coffee,
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
    "hubble": skimage.data.hubble_deep_field,
    "motorcycle": lambda: skimage.data.stereo_motorcycle()[0],
    "retina": skimage.data.retina,
    "tissue": skimage.data.immunohistochemistry,
}
#: those that come with a test set
READERS: dict[str, Callable[[Path], tuple[Labelled, Labelled]]] = {
    "cifar10": lambda folder: cifar(folder, 10),
    "cifar100": lambda folder: cifar(folder, 100),
    "idx": idx,
    "svhn": svhn,
    "speech": speech,
}
ON_DISK = (*READERS, "folder")
CLASSES = {"cifar10": 10, "cifar100": 100, "svhn": 10}


@dataclass(frozen=True)
class ImageSet:
    """Images (m, c, h, w), float32 in [0, 1] (spectrograms: standardised), with classes (m,), integers below `classes`,
    and what they are.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: int
    note: str

    def to(self, device: torch.device | str) -> ImageSet:
        parts = {name: getattr(self, name).to(device) for name in ("train_x", "train_y", "test_x", "test_y")}
        return replace(self, **parts)


def image_set(name: str, *, size: int | None = None, seed: int = 0) -> ImageSet:
    """The set of that name, split by the seed where it comes without a test set.

    size : side of the images in pixels; by default as they are, 32 for textures, and 224 for a folder.  Textures are
    cut at that size, others resized (bilinear, with antialiasing); spectrograms have one size.

    Raises ValueError for a name that is none, and for files that are missing or not as they should be.
    """
    if size is not None:
        require_at_least("size", size, 2, "a side of the images in pixels")
    kind, colon, folder = name.partition(":")
    if colon and kind in ON_DISK:
        return _on_disk(kind, folder, size, seed)
    if name not in PACKAGED:
        needed = ", ".join([*map(repr, PACKAGED), *(f"'{k}:DIR'" for k in ON_DISK)])
        raise ValueError(f"name={name!r}: needed is one of {needed}")
    return PACKAGED[name](size, seed)


def _digits(size: int | None, seed: int) -> ImageSet:
    data = load_digits()
    images = torch.from_numpy(data.images).float().unsqueeze(1) / 16
    return _split(_resized(images, size), torch.from_numpy(data.target), "scikit-learn's digits", seed)


def _lfw(size: int | None, seed: int) -> ImageSet:
    images = torch.from_numpy(skimage.data.lfw_subset()).float().unsqueeze(1)
    y = torch.arange(len(images)) // (len(images) // 2)  # the faces come first
    return _split(_resized(images, size), y, "scikit-image's lfw_subset: faces (class 0) and no faces", seed)


def _textures(size: int | None, seed: int) -> ImageSet:
    side, rng = size or PATCH, np.random.default_rng(seed)
    parts = [_patches(_photograph(make()), side, rng) for make in PHOTOGRAPHS.values()]
    train, test = (_balanced([part[k] for part in parts], rng) for k in (0, 1))
    note = f"{side} x {side} patches of scikit-image's {', '.join(PHOTOGRAPHS)}"
    return ImageSet(*train, *test, len(parts), f"{note}; train and test from blocks that do not overlap")


def _photograph(image: np.ndarray) -> Tensor:
    """(3, H, W) in [0, 1]; a grey one has three channels that are alike."""
    colour = image if image.ndim == 3 else np.repeat(image[..., None], 3, -1)
    return torch.from_numpy(colour).permute(2, 0, 1).float() / 255


def _patches(photograph: Tensor, side: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Patches for training and for testing: nine (half a side apart) of each block of 2 side x 2 side pixels."""
    blocks = photograph.unfold(1, 2 * side, 2 * side).unfold(2, 2 * side, 2 * side).permute(1, 2, 0, 3, 4).flatten(0, 1)
    if len(blocks) < 2:
        raise ValueError(
            f"size={side}: a photograph of {tuple(photograph.shape[1:])} pixels has no two blocks of {2 * side} pixels "
            f"a side; needed is a smaller size"
        )
    shuffled = blocks[torch.from_numpy(rng.permutation(len(blocks)))]
    test = max(1, round(TEST_SHARE * len(blocks)))
    return _all_patches(shuffled[test:], side), _all_patches(shuffled[:test], side)


def _all_patches(blocks: Tensor, side: int) -> Tensor:
    step = max(1, side // 2)
    windows = blocks.unfold(2, side, step).unfold(3, side, step)  # (blocks, 3, 3, 3, side, side)
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def _balanced(parts: Sequence[Tensor], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """As many of each part, drawn and shuffled, with the part's number as the class."""
    count = min(len(part) for part in parts)
    chosen = [part[torch.from_numpy(rng.permutation(len(part))[:count])] for part in parts]
    order = torch.from_numpy(rng.permutation(count * len(parts)))
    return torch.cat(chosen)[order].contiguous(), torch.arange(len(parts)).repeat_interleave(count)[order]


def _on_disk(kind: str, folder: str, size: int | None, seed: int) -> ImageSet:
    if kind == "folder":
        x, y, names = image_folder(Path(folder), size or 224)
        return _split(x, y, f"{folder}: {', '.join(names)}", seed)
    if kind == "speech" and size is not None:
        raise ValueError(f"size={size} with {kind}:{folder}: needed is none, spectrograms have one size")
    train, test = READERS[kind](Path(folder))
    classes = CLASSES.get(kind) or 1 + int(train[1].max())
    return ImageSet(_resized(train[0], size), train[1], _resized(test[0], size), test[1], classes, kind)


def _split(x: Tensor, y: Tensor, note: str, seed: int) -> ImageSet:
    train, test = train_test_split(np.arange(len(x)), test_size=TEST_SHARE, stratify=y, random_state=seed)
    return ImageSet(x[train], y[train], x[test], y[test], int(y.max()) + 1, note)


def _resized(x: Tensor, size: int | None) -> Tensor:
    if size is None or tuple(x.shape[-2:]) == (size, size):
        return x
    return interpolate(x, (size, size), mode="bilinear", antialias=True).clamp(0, 1)


PACKAGED = {"digits": _digits, "lfw": _lfw, "textures": _textures}
