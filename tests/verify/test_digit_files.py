"""IDX and SVHN files, made here in their formats, and what is said of broken ones."""

import gzip
import struct

import numpy as np
import pytest
import scipy.io
import torch

from verify.digit_files import idx, svhn
from verify.image_sets import image_set

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (7, 4, 5), np.uint8), np.array([3, 1, 0, 2, 3, 3, 1], np.uint8)


def as_idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    """The first of each pair compressed."""
    for part, count in (("train", 7), ("t10k", 3)):
        images = gzip.compress(as_idx(IMAGES[:count]))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(images)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(as_idx(LABELS[:count]))
    return tmp_path


@pytest.fixture
def house_numbers(tmp_path):
    for name, count in (("train_32x32.mat", 6), ("test_32x32.mat", 2)):
        x = RNG.integers(0, 256, (32, 32, 3, count), np.uint8)
        scipy.io.savemat(tmp_path / name, {"X": x, "y": np.arange(10, 10 - count, -1).reshape(-1, 1)})
    return tmp_path


def test_idx_is_read(mnist):
    (x, y), (test_x, test_y) = idx(mnist)
    assert x.shape == (7, 1, 4, 5) and x.dtype == torch.float32
    np.testing.assert_array_equal((x[:, 0] * 255).round().numpy(), IMAGES)
    assert y.tolist() == LABELS.tolist() and test_y.tolist() == LABELS[:3].tolist()
    assert torch.equal(test_x, x[:3])
    data = image_set(f"idx:{mnist}", size=8)
    assert data.train_x.shape == (7, 1, 8, 8) and data.classes == 4


def test_svhn_is_read_and_its_ten_is_zero(house_numbers):
    (x, y), (_, test_y) = svhn(house_numbers)
    raw = scipy.io.loadmat(house_numbers / "train_32x32.mat")["X"]
    np.testing.assert_allclose(x[4, 2].numpy(), raw[:, :, 2, 4] / 255, rtol=1e-6)
    assert y.tolist() == [0, 9, 8, 7, 6, 5] and test_y.tolist() == [0, 9]
    assert image_set(f"svhn:{house_numbers}").classes == 10


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train-labels-idx1-ubyte", None, "has no train-labels-idx1-ubyte"),
        ("train-labels-idx1-ubyte", as_idx(LABELS)[:-1], "1 axes, whole"),
        ("train-labels-idx1-ubyte", as_idx(LABELS[:5]), "7 images and 5 labels"),
        ("train-images-idx3-ubyte.gz", b"no gzip", "cannot be read"),
        ("train-images-idx3-ubyte.gz", gzip.compress(as_idx(IMAGES[0]), mtime=0), "3 axes"),
    ],
    ids=["missing", "cut off", "too few", "no gzip", "two axes"],
)
def test_broken_idx_is_told(mnist, name, content, said):
    (mnist / name).unlink()
    if content is not None:
        (mnist / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        idx(mnist)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no test_32x32.mat"),
        ({"X": np.zeros((32, 32, 3, 2), np.uint8)}, "needed are X and y"),
        ({"X": np.zeros((2, 3, 32, 32), np.uint8), "y": [[1], [2]]}, r"needed is \(h, w, 3, m\)"),
    ],
)
def test_broken_svhn_is_told(house_numbers, content, said):
    path = house_numbers / "test_32x32.mat"
    path.unlink()
    if content is not None:
        scipy.io.savemat(path, content)
    with pytest.raises(ValueError, match=said):
        svhn(house_numbers)
