"""The two photographs that scikit-learn ships, and images as text for a numbers file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from figures.definition import Numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Image = NDArray[np.float64]

#: each pixel is the mean of so many by so many of the file's
BLOCK = 5
CREDIT = "china.jpg (first) and flower.jpg (second) of scikit-learn, averaged over 5 x 5 pixels"


def photographs() -> tuple[Image, Image]:
    """Two photographs (85, 128, 3) with values in [0, 1]: a temple, and a flower."""
    from sklearn.datasets import load_sample_images

    first, second = (_reduced(np.asarray(image) / 255) for image in load_sample_images().images)
    return first, second


def _reduced(image: Image) -> Image:
    """Block means; what is left over at the lower and right border is cut off."""
    height, width = (n // BLOCK for n in image.shape[:2])
    whole = image[: height * BLOCK, : width * BLOCK]
    return whole.reshape(height, BLOCK, width, BLOCK, -1).mean((1, 3))


def as_text(image: Image, low: float = 0.0, high: float = 1.0) -> Numbers:
    """Values in [low, high] as 8-bit numbers in base64; others are clipped."""
    levels = np.rint(255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)
    return {"shape": list(levels.shape), "uint8": base64.b64encode(levels.tobytes()).decode()}


def from_text(text: Numbers) -> NDArray[np.uint8]:
    """The 8-bit numbers of `as_text`."""
    return np.frombuffer(base64.b64decode(text["uint8"]), dtype=np.uint8).reshape(text["shape"])


def show(ax: Axes, levels: NDArray[np.uint8], title: str, **look: Any) -> None:
    """8-bit levels as they are, one grey or three colours a pixel; no ticks."""
    usual: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 255, "interpolation": "nearest"}
    ax.imshow(levels, **usual | look)
    ax.set_title(title, linespacing=1.1)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    ax.spines[:].set_visible(True)
