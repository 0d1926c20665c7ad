"""Sets of images: what they hold, that training and testing do not share a pixel, and files of every kind on disk."""

from __future__ import annotations

import collections
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from verify.image_sets import PACKAGED, PHOTOGRAPHS, ImageSet, image_set
from verify.samples import TABLES

SHAPES = {"digits": (1, 8, 8), "lfw": (1, 25, 25), "textures": (3, 32, 32)}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError("a data set was to be downloaded")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def parts(images: ImageSet) -> list[tuple[Tensor, Tensor]]:
    return [(images.train_x, images.train_y), (images.test_x, images.test_y)]


@pytest.mark.parametrize("name", PACKAGED)
def test_packaged_sets(name: str) -> None:
    images = image_set(name)
    for x, y in parts(images):
        assert x.shape[1:] == SHAPES[name] and x.dtype == torch.float32 and len(x) == len(y)
        assert 0 <= float(x.min()) < 0.1 and 0.9 < float(x.max()) <= 1
        shares = torch.bincount(y, minlength=images.classes) / len(y)
        assert len(shares) == images.classes and float((shares * images.classes - 1).abs().max()) < 0.1
    assert 0.2 < len(images.test_x) / (len(images.train_x) + len(images.test_x)) < 0.3
    again, other = image_set(name), image_set(name, seed=1)
    assert torch.equal(images.train_x, again.train_x) and not torch.equal(images.train_x, other.train_x)


@pytest.mark.parametrize("name", PACKAGED)
def test_sizes(name: str) -> None:
    images = image_set(name, size=16)
    assert images.train_x.shape[-2:] == images.test_x.shape[-2:] == (16, 16)
    assert 0 <= float(images.train_x.min()) <= float(images.train_x.max()) <= 1


def test_faces_come_first() -> None:
    """skimage's own statement: 100 faces, then 100 others; the mean of the faces is bright where others are not."""
    images, raw = image_set("lfw"), skimage.data.lfw_subset()
    for x, y in parts(images):
        for image, label in zip(x[:20], y[:20], strict=True):
            where = np.abs(raw - image[0].numpy()).max((1, 2)).argmin()
            assert (where >= 100) == bool(label)


def test_patches_are_of_their_photograph_and_test_patches_share_no_pixel_with_training() -> None:
    """Every patch is found in the photograph of its class, and the pixels that it covers are counted."""
    images = image_set("textures")
    names = list(PHOTOGRAPHS)
    for name in ("cat", "grass"):
        raw = PHOTOGRAPHS[name]()
        photograph = torch.from_numpy(raw if raw.ndim == 3 else np.stack([raw] * 3, -1)).permute(2, 0, 1)
        covered, windows = [], photograph.unfold(1, 32, 16).unfold(2, 32, 16).permute(1, 2, 0, 3, 4)
        where = {windows[i, j].numpy().tobytes(): (16 * i, 16 * j) for i, j in np.ndindex(windows.shape[:2])}
        for x, y in parts(images):
            mask = np.zeros(photograph.shape[1:], bool)
            for patch in (x[y == names.index(name)] * 255).round().to(torch.uint8):
                row, column = where[patch.contiguous().numpy().tobytes()]
                mask[row : row + 32, column : column + 32] = True
            covered.append(mask)
        assert covered[0].any() and covered[1].any() and not (covered[0] & covered[1]).any()


def test_bad_names_and_sizes() -> None:
    with pytest.raises(ValueError, match=r"name='mnist': needed is one of 'digits', 'lfw', 'textures', 'cifar10:DIR'"):
        image_set("mnist")
    with pytest.raises(ValueError, match="size=1: needed is an integer >= 2"):
        image_set("digits", size=1)
    with pytest.raises(ValueError, match=r"size=128: a photograph of .* has no two blocks of 256"):
        image_set("textures", size=128)


def test_tables_are_standardised() -> None:
    from verify.samples import _table

    for name in TABLES:
        x, y = _table(name)
        assert float(x.mean(0).abs().max()) < 1e-12 and float((x.var(0, correction=0) - 1).abs().max()) < 1e-9
        assert y.dtype == torch.int64 and len(y) == len(x) > 100


# -- CIFAR's batches


def batch(m: int, classes: int, seed: int) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(m, 3072), dtype=np.uint8), rng.integers(0, classes, size=m).tolist()


def write(path: Path, content: object, protocol: int = 2) -> None:
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for k, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        data, labels = batch(4, 10, k)
        write(folder / name, {b"data": data, b"labels": labels, b"batch_label": b"one", b"filenames": [b"a.png"] * 4})
    return tmp_path


@pytest.mark.parametrize("inside", [True, False])
def test_cifar10(cifar10: Path, inside: bool) -> None:
    images = image_set(f"cifar10:{cifar10 / 'cifar-10-batches-py' if inside else cifar10}")
    assert images.train_x.shape == (20, 3, 32, 32) and images.test_x.shape == (4, 3, 32, 32) and images.classes == 10
    data, labels = batch(4, 10, 1)
    assert images.train_y[4:8].tolist() == labels
    for channel, row, column in ((0, 0, 1), (1, 5, 0), (2, 31, 31)):
        expected = data[2, channel * 1024 + row * 32 + column] / 255
        assert float(images.train_x[6, channel, row, column]) == pytest.approx(expected)
    assert image_set(f"cifar10:{cifar10}", size=8).test_x.shape == (4, 3, 8, 8)


@pytest.mark.parametrize("protocol", [2, 4])
def test_cifar100_and_both_ways_to_pickle_an_array(tmp_path: Path, protocol: int) -> None:
    for k, name in enumerate(("train", "test")):
        data, labels = batch(5, 100, k)
        content = {b"data": data, b"fine_labels": labels, b"coarse_labels": [0] * 5, b"filenames": [b"x"] * 5}
        write(tmp_path / name, content, protocol)
    images = image_set(f"cifar100:{tmp_path}")
    assert images.classes == 100 and images.train_y.tolist() == batch(5, 100, 0)[1]
    assert torch.equal((images.test_x * 255).round().to(torch.uint8).flatten(1), torch.from_numpy(batch(5, 100, 1)[0]))


class Runs:
    """A pickle that runs a command as it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_runs_nothing(cifar10: Path, protocol: int) -> None:
    target = cifar10 / "ran"
    write(cifar10 / "cifar-10-batches-py" / "data_batch_2", {b"data": Runs(target), b"labels": [0]}, protocol)
    with pytest.raises(ValueError, match=r"data_batch_2 cannot be read: it calls \w+.system, and only data is read"):
        image_set(f"cifar10:{cifar10}")
    assert not target.exists()


BAD_BATCHES: list[tuple[object, str]] = [
    ([1, 2], "needed is b'data', bytes"),
    ({b"data": np.zeros((4, 3072)), b"labels": [0] * 4}, "needed is b'data', bytes"),
    ({b"data": np.zeros((4, 12), np.uint8), b"labels": [0] * 4}, "needed is b'data', bytes"),
    ({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0] * 3}, "a list of 4 classes below 10"),
    ({b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 10]}, "a list of 4 classes below 10"),
    ({b"data": np.zeros((4, 3072), np.uint8), b"fine_labels": [0] * 4}, "needed is b'labels'"),
    ({b"data": collections.Counter()}, "it calls collections.Counter, and only data is read"),
]


@pytest.mark.parametrize(("content", "message"), BAD_BATCHES)
def test_bad_batches_are_named(cifar10: Path, content: object, message: str) -> None:
    write(cifar10 / "cifar-10-batches-py" / "test_batch", content)
    with pytest.raises(ValueError, match=message) as error:
        image_set(f"cifar10:{cifar10}")
    assert "test_batch" in str(error.value)


def test_missing_and_damaged_batches_are_named(cifar10: Path) -> None:
    path = cifar10 / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="data_batch_3 cannot be read"):
        image_set(f"cifar10:{cifar10}")
    path.unlink()
    with pytest.raises(ValueError, match=r"has no data_batch_3: needed is the folder of the unpacked cifar-10-python"):
        image_set(f"cifar10:{cifar10}")


# -- folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes in two formats: red wide images and blue high ones, six of each."""
    for name, colour, size, suffix in (("red", (255, 0, 0), (20, 10), "png"), ("blue", (0, 0, 255), (9, 18), "jpg")):
        (tmp_path / name / "more").mkdir(parents=True)
        for k in range(6):
            place = tmp_path / name / "more" if k % 2 else tmp_path / name
            Image.new("RGB", size, colour).save(place / f"{k}.{suffix}")
    (tmp_path / "notes.txt").write_text("no class")
    return tmp_path


def test_a_folder_of_classes(folder: Path) -> None:
    images = image_set(f"folder:{folder}", size=6)
    assert images.train_x.shape == (9, 3, 6, 6) and images.test_x.shape == (3, 3, 6, 6) and images.classes == 2
    for x, y in parts(images):
        for image, label in zip(x, y, strict=True):  # blue is class 0
            expected = torch.tensor([1.0, 0, 0] if label else [0, 0, 1.0]).reshape(3, 1, 1)
            assert float((image - expected).abs().max()) <= 3 / 255  # JPEG rounds
    assert "blue, red" in images.note
    assert image_set(f"folder:{folder}").train_x.shape == (9, 3, 224, 224)


def test_the_crop_is_the_largest_centred_square(tmp_path: Path) -> None:
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 2:6] = 200
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(4):
            Image.fromarray(wide).save(tmp_path / name / f"{k}.png")
    images = image_set(f"folder:{tmp_path}", size=4)
    assert torch.equal((images.train_x * 255).round(), torch.full((6, 3, 4, 4), 200.0))


def test_bad_folders_are_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"folder:.*absent is not a folder: needed is DIR/class/"):
        image_set(f"folder:{folder / 'absent'}")
    with pytest.raises(ValueError, match=r"holds more \(3\): needed are two classes or more"):
        image_set(f"folder:{folder / 'red'}")
    (folder / "red" / "9.png").write_text("no image")
    with pytest.raises(ValueError, match=r"9\.png cannot be read as an image"):
        image_set(f"folder:{folder}")
