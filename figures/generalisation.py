"""Figs. 5 to 8 of Zhang et al. (2021): loss and error on training and test images while a network is trained without
mixing and with Mixup, without and with the crops and flips that are standard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from figures.definition import Figure, Numbers, Settings
from figures.image_runs import (
    ERM,
    MIXED,
    MIXUP,
    as_numbers,
    bench_for,
    caption,
    conditions,
    judged,
    looks,
    printed,
)
from figures.relations import Relation
from figures.style import APPROXIMATE, EXACT, PAGE_WIDTH, median_and_band, style
from msda_theory import Beta
from msda_theory._progress import track
from verify.image_benches import Bench, run

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

RATIO = Beta(1.0, 1.0)
AUGMENTED = {"without augmentation": False, "with augmentation": True}
#: method, part, look
LINES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (ERM, "train", EXACT | {"linestyle": (0, (1, 1.2))}),
    (ERM, "test", EXACT),
    (MIXUP, "train", APPROXIMATE | {"linestyle": (0, (4, 1.2, 1, 1.2))}),
    (MIXUP, "test", APPROXIMATE),
)
ROWS = {"loss": "cross-entropy", "error": "error, %"}
STATEMENT = (
    "Mixup has the better test performance, mainly by its generalisation (sec. 1, App. C.3): less test error, test "
    "loss and gap from training to test loss."
)


@dataclass(frozen=True)
class Case:
    """A figure: the paper's data set by its kind, and what stands in for it here."""

    id: str
    kind: str
    stands_in: str
    here: Bench
    seconds: float
    flips: bool = True

    @property
    def papers(self) -> dict[str, Bench]:
        return {self.kind: Bench("", "PreActResNet-18", 200, flips=self.flips)}


_TEXTURES = Bench("textures", "small convnet", 25, size=16, limit=1000, lr=0.02)
_DIGITS = Bench("digits", "small convnet", 60, limit=300, flips=False)
CASES = (
    Case("fig5", "cifar10", "photographs' textures", _TEXTURES, 100),
    Case("fig6", "cifar100", "few of the textures", replace(_TEXTURES, epochs=60, limit=200), 70),
    Case("fig7", "fashion-mnist", "faces (lfw)", Bench("lfw", "small convnet", 40, size=12, lr=0.02), 20),
    Case("fig8", "kuzushiji-mnist", "few digits", _DIGITS, 35, flips=False),
)


def compute(case: Case, settings: Settings) -> Numbers:
    """Every method, with the standard augmentation and without, from every seed; no image of a curve is mixed."""
    bench = bench_for(settings, case.here, case.papers)
    cells = list(product(settings.each_seed, AUGMENTED, MIXED))
    runs = [_run(bench, settings, *cell) for cell in track(cells, "trainings")]
    return {
        "printed": printed("zhang2021", case.id),
        "statement": STATEMENT,
        "conditions": f"{conditions(bench, settings)}; augmentation: crops{' and flips' if bench.flips else ''}",
        "runs": runs,
        "findings": {name: _found(runs, name, settings.seeds) for name in AUGMENTED},
    }


def _run(bench: Bench, settings: Settings, seed: int, augmentation: str, method: str) -> Numbers:
    choices: dict[str, bool] = {"mixed": MIXED[method], "augmented": AUGMENTED[augmentation]}
    trained = run(bench, RATIO, seed, looks=looks(bench, settings), **choices)
    return {"seed": seed, "augmentation": augmentation, "method": method, **as_numbers(trained)}


def _found(runs: list[Numbers], augmentation: str, seeds: int) -> Numbers:
    """What the statement says of the end of training, compared seed by seed."""
    last: dict[str, dict[str, list[float]]] = {"test error": {}, "test loss": {}, "gap": {}}
    for method in MIXED:
        test, error, train = (
            _curves(runs, augmentation, method, curve)[:, -1] for curve in ("test_loss", "test_error", "train_loss")
        )
        for name, values in zip(last, (error, test, test - train), strict=True):
            last[name][method] = values.tolist()
    return judged([Relation(ERM, MIXUP, name) for name in last], last, seeds)


def draw(numbers: Numbers) -> Picture:
    """A column without and one with the standard augmentation; losses above, errors below."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 5.0))
        axes = picture.subplots(len(ROWS), len(AUGMENTED), sharex=True, sharey="row")
        for (row, curve), (column, augmentation) in product(enumerate(ROWS), enumerate(AUGMENTED)):
            for method, part, look in LINES:
                curves = _curves(numbers["runs"], augmentation, method, f"{part}_{curve}")
                epochs = numbers["runs"][0]["epochs"]
                median_and_band(axes[row, column], epochs, curves, f"{method}: {part}", look, shade=0.12)
        for ax, title in zip(axes[0], AUGMENTED, strict=True):
            ax.set_title(title)
        for ax, label in zip(axes[:, 0], ROWS.values(), strict=True):
            ax.set_ylabel(label)
        for ax in axes[-1]:
            ax.set_ylim(0, None)
            ax.set_xlabel("epoch")
        axes[0, 0].set_yscale("log")
        caption(picture, numbers, len(LINES))
    return picture


def _curves(runs: list[Numbers], augmentation: str, method: str, curve: str) -> NDArray[np.float64]:
    """One row a seed."""
    return np.array([r[curve] for r in runs if (r["augmentation"], r["method"]) == (augmentation, method)])


ALL = tuple(
    Figure(
        id=f"zhang2021-{case.id}",
        title=f"Generalisation without mixing and with Mixup: {case.stands_in}",
        source=f"Zhang et al. (2021), Figure {case.id.removeprefix('fig')}",
        compute=partial(compute, case),
        draw=draw,
        needs=f"{case.stands_in} (packaged)",
        takes=(case.kind,),
        seconds=case.seconds,
    )
    for case in CASES
)
