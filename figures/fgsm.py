"""Fig. 1 of Zhang et al. (2021): accuracy under the fast gradient sign method, and losses along training, without
mixing and with Mixup.
"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from figures.definition import Figure, Numbers, Settings
from figures.image_runs import (
    ERM,
    MIXED,
    MIXUP,
    USUAL,
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
from msda_theory.bounds import fast_gradient
from msda_theory.losses import SoftmaxCrossEntropy
from verify.image_benches import Bench, Trained, run
from verify.image_training import evaluate

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

RATIO = Beta(5.0, 0.5)
HERE = Bench("digits", "WideResNet-10-1", 20, limit=1000, flips=False)
PAPERS = {"svhn": Bench("", "WideResNet-16-8", 200, flips=False)}
RADII = (0.0, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2)
ATTACKED = 1000  # test images
LOOKS: dict[str, dict[str, Any]] = {ERM: EXACT, MIXUP: APPROXIMATE}
DOTS = {ERM: (0, (1, 1.2)), MIXUP: (0, (4, 1.2, 1, 1.2))}
STATEMENT = (
    "with Mixup the accuracy under FGSM is much better (a), and so is the test performance, mainly by the "
    "generalisation gap (b); sec. 1, App. C.1."
)


def compute(settings: Settings) -> Numbers:
    """Both methods from every seed; the attacked images are the same for both."""
    bench = bench_for(settings, HERE, PAPERS)
    runs = [_run(bench, settings, *cell) for cell in track(list(product(settings.each_seed, MIXED)), "trainings")]
    return {
        "printed": printed("zhang2021", "fig1"),
        "statement": STATEMENT,
        "conditions": f"{conditions(bench, settings)}; {RATIO!r}",
        "radii": list(RADII),
        "runs": runs,
        "findings": {"(a)": _found_robust(runs, settings.seeds), "(b)": _found_general(runs, settings.seeds)},
    }


def _run(bench: Bench, settings: Settings, seed: int, method: str) -> Numbers:
    trained = run(bench, RATIO, seed, mixed=MIXED[method], looks=looks(bench, settings))
    count = max(1, round(ATTACKED * settings.samples / USUAL.samples))
    return {"seed": seed, "method": method, **as_numbers(trained), "accuracy": _attacked(trained, seed, count)}


def _attacked(trained: Trained, seed: int, count: int) -> list[float]:
    """The accuracy, %, at every radius, of `count` test images; pixels may leave [0, 1].

    No image is moved where its loss would fall.
    """
    chosen = np.random.default_rng(seed).permutation(len(trained.data.test_x))[:count]
    x, y = trained.data.test_x[chosen], trained.data.test_y[chosen]
    accuracies = [evaluate(trained.model, x, y).accuracy]
    for radius in RADII[1:]:
        at = fast_gradient(trained.model, x, y, radius, SoftmaxCrossEntropy(), norm=math.inf)
        accuracies.append(evaluate(trained.model, at.x, y).accuracy)
    return [100 * accuracy for accuracy in accuracies]


def _found_robust(runs: list[Numbers], seeds: int) -> Numbers:
    accuracy = {method: _curves(runs, method, "accuracy") for method in MIXED}
    ours = {f"ε = {r:g}": {m: accuracy[m][:, k].tolist() for m in MIXED} for k, r in enumerate(RADII) if r}
    return judged([Relation(MIXUP, ERM, column) for column in ours], ours, seeds)


def _found_general(runs: list[Numbers], seeds: int) -> Numbers:
    ends = {m: {c: _curves(runs, m, c)[:, -1] for c in ("train_loss", "test_loss", "test_error")} for m in MIXED}
    ours = {
        "test error": {m: end["test_error"].tolist() for m, end in ends.items()},
        "test loss": {m: end["test_loss"].tolist() for m, end in ends.items()},
        "gap of losses": {m: (end["test_loss"] - end["train_loss"]).tolist() for m, end in ends.items()},
    }
    return judged([Relation(ERM, MIXUP, column) for column in ours], ours, seeds)


def draw(numbers: Numbers) -> Picture:
    """(a) accuracy over the size of the attack; (b) losses over the epochs."""
    from matplotlib.figure import Figure as Picture

    with style():
        picture = Picture(figsize=(PAGE_WIDTH, 3.7))
        left, right = picture.subplots(1, 2)
        for method, look in LOOKS.items():
            median_and_band(left, numbers["radii"], _curves(numbers["runs"], method, "accuracy"), "_", look)
            test, train = (_curves(numbers["runs"], method, f"{part}_loss") for part in ("test", "train"))
            epochs = numbers["runs"][0]["epochs"]
            median_and_band(right, epochs, test, f"{method}: test", look)
            median_and_band(right, epochs, train, f"{method}: train", look | {"linestyle": DOTS[method]})
        left.set_title("(a) under attack")
        left.set_xlabel(r"$\varepsilon$ of FGSM, in pixel values from 0 to 1")
        left.set_ylabel("accuracy, %")
        left.set_xlim(0, None)
        left.set_ylim(0, 100)
        right.set_title("(b) losses of unmixed images")
        right.set_xlabel("epoch")
        right.set_ylabel("cross-entropy")
        right.set_yscale("log")
        caption(picture, numbers, 4)
    return picture


def _curves(runs: list[Numbers], method: str, curve: str) -> NDArray[np.float64]:
    """One row a seed."""
    return np.array([run[curve] for run in runs if run["method"] == method])


FIGURE = Figure(
    id="zhang2021-fig1",
    title="Robustness under FGSM and generalisation, without mixing and with Mixup",
    source="Zhang et al. (2021), Figure 1",
    compute=compute,
    draw=draw,
    needs="scikit-learn's digits",
    takes=tuple(PAPERS),
    seconds=60,
)
