"""What the figures of trained image networks share: which bench is run, and a run as plain numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import numpy as np

from figures.data_sets import KINDS, given
from figures.definition import Numbers, Settings
from figures.relations import Relation, Values, compared, finding
from figures.style import seeds_caption
from verify.image_benches import Bench, Trained
from verify.printed_tables import printed_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

USUAL = Settings()
ERM, MIXUP = "without mixing", "Mixup"
MIXED = {ERM: False, MIXUP: True}
POINTS = 12
FEW = 3


def bench_for(settings: Settings, here: Bench, papers: Mapping[str, Bench]) -> Bench:
    """The paper's bench where the user gave its data (by kind), else the one of what is here; scaled."""
    chosen = here
    for kind, bench in papers.items():
        name = given(settings, kind)
        chosen = chosen if name is None else replace(bench, images=name)
    return scaled(chosen, settings)


def scaled(bench: Bench, settings: Settings) -> Bench:
    """Smaller where the settings are smaller than usual."""
    return bench.scaled(settings.iterations / USUAL.iterations, settings.samples / USUAL.samples)


def scaled_epochs(usual: int, settings: Settings) -> int:
    """Fewer where the settings are smaller than usual; one at least."""
    return max(1, round(usual * settings.iterations / USUAL.iterations))


def looks(bench: Bench, settings: Settings) -> list[int]:
    """Some dozen epochs to look at, from a tenth of the training to its end."""
    points = min(POINTS, settings.records, bench.epochs)
    return sorted({max(1, round(float(epoch))) for epoch in np.linspace(bench.epochs / 10, bench.epochs, points)})


def as_numbers(trained: Trained) -> Numbers:
    """Losses, and errors in %."""
    curves: Numbers = {"epochs": list(trained.epochs)}
    for part in ("train", "test"):
        scores = getattr(trained, part)
        curves[f"{part}_loss"] = [score.loss for score in scores]
        curves[f"{part}_error"] = [100 * (1 - score.accuracy) for score in scores]
    return curves


def conditions(bench: Bench, settings: Settings) -> str:
    """How ours were made."""
    data = bench.data(0)
    kind = next((k.title for name, k in KINDS.items() if given(settings, name) == bench.images), data.note)
    size = "x".join(map(str, data.train_x.shape[1:]))
    return f"{kind} ({len(data.train_x)} to train on, {len(data.test_x)} to test on, {size}), {bench.described()}"


def printed(paper: str, name: str) -> Numbers:
    """What the paper prints of it."""
    return asdict(printed_table(paper, name))


def judged(relations: Sequence[Relation], ours: Values, seeds: int) -> Numbers:
    """Whether what is stated is seen: one sentence, and each comparison with its interval."""
    found = [compared(relation, ours) for relation in relations]
    return {"sentence": finding(found, seeds), "relations": found}


def _details(judgement: Numbers) -> str:
    """The differences with their intervals, where they are few."""
    relations = judgement["relations"]
    if len(relations) > FEW or relations[0]["interval"] is None:
        return ""
    first = f"  {relations[0]['greater']} minus {relations[0]['smaller']}: "
    each = ("{column} {difference:.2g} ({0:.2g} to {1:.2g})".format(*r["interval"], **r) for r in relations)
    return f"{first}{', '.join(each)}."


def caption(picture: Picture, numbers: Numbers, ncols: int, width: int = 145) -> None:
    """The legend of the last axes, and below it what is shown, what the paper says, and what is found."""
    handles, _ = picture.axes[-1].get_legend_handles_labels()
    spread = seeds_caption(len({run["seed"] for run in numbers["runs"]}))
    paragraphs = [
        f"{spread}.  Printed: {numbers['printed']['caption']}: {numbers['printed']['unit']}.",
        f"Ours: {numbers['conditions']}.",
        f"The paper: {numbers['statement']}",
        *(f"Found, {name}: {each['sentence']}.{_details(each)}" for name, each in numbers["findings"].items()),
    ]
    text = "\n".join(line for paragraph in paragraphs for line in textwrap.wrap(paragraph, width))
    picture.legend(handles=handles, loc="outside lower center", ncols=ncols, title=text, alignment="left")
