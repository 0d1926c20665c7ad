"""Figure of a draw of each mask law, and what it mixes of two photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from figures.definition import Numbers, Settings
from figures.photographs import CREDIT, Image, as_text, from_text, photographs, show
from figures.style import PAGE_WIDTH, style
from msda_theory.masks import CutMix, GMix, HMix, MaskLaw, Mixup

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

RATIO = 0.65


def mask_laws(shape: tuple[int, int]) -> dict[str, MaskLaw]:
    """The laws of Fig. 3, the box inside the image; GMix with the mask as printed and as released."""
    return {
        "Mixup": Mixup(shape),
        "CutMix": CutMix(shape, sampler="inside"),
        "HMix, $r$ = 0.5": HMix(shape, r=0.5, sampler="inside"),
        "GMix, printed": GMix(shape, kernel="printed"),
        "GMix, released": GMix(shape, kernel="released"),
    }


def compute(settings: Settings) -> Numbers:
    """A draw of each law at lambda = 0.65, from the same seed, and M x_1 + (1-M) x_2."""
    first, second = photographs()
    height, width = first.shape[:2]
    panels = [_example(title, law, first, second, settings.seed) for title, law in mask_laws((height, width)).items()]
    originals = [as_text(first), as_text(second)]
    return {"photographs": CREDIT, "ratio": RATIO, "originals": originals, "panels": panels}


def _example(title: str, law: MaskLaw, first: Image, second: Image, seed: int) -> Numbers:
    mask = law.sample(torch.tensor([RATIO], dtype=torch.float64), seed)[0].numpy()
    share = mask[..., np.newaxis]
    return {
        "title": title,
        "law": repr(law),
        "mean of the mask": float(mask.mean()),
        "expected mean": float(law.mean(RATIO).mean()),
        "mask": as_text(mask),
        "image": as_text(share * first + (1 - share) * second),
    }


def draw(numbers: Numbers) -> Picture:
    """Upper row: the photographs and what was mixed from them; lower row: masks, black 0 and white 1."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure as Picture

    panels, originals = numbers["panels"], numbers["originals"]
    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 1.85))
        axes = picture.subplots(2, len(originals) + len(panels))
        for k, (image, name) in enumerate(zip(originals, ("first", "second"), strict=True)):
            show(axes[0, k], from_text(image), name)
        for k, panel in enumerate(panels, start=len(originals)):
            show(axes[0, k], from_text(panel["image"]), panel["title"])
            show(axes[1, k], from_text(panel["mask"]), _means(panel))
        for ax in axes[1, : len(originals)]:
            ax.set_axis_off()
        axes[1, 0].text(0, 0.8, f"masks $M$, $\\lambda$ = {numbers['ratio']:g}", transform=axes[1, 0].transAxes)
        key = axes[1, 0].inset_axes((0.08, 0.5, 0.84, 0.14))
        key.set_in_layout(False)  # its tick labels reach over the edge
        picture.colorbar(ScalarMappable(cmap="gray"), cax=key, orientation="horizontal", ticks=[0, 0.5, 1])
        key.grid(False)
    return picture


def _means(panel: Numbers) -> str:
    return f"mean {panel['mean of the mask']:.3f}\nof the law {panel['expected mean']:.3f}"
