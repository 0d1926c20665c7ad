"""Table 5 of Park et al. (2022) at the scale of small images: occlusion, corruption and FGSM attacks."""

from __future__ import annotations

import torch

from figures import table
from figures.definition import Numbers, Settings
from figures.image_tables import TEXTURES, conditions, image_table, recipe_for
from figures.relations import Relation
from msda_theory._progress import track
from verify.corruptions import CORRUPTIONS, corrupted, fgsm, occluded
from verify.image_runs import Run, trained
from verify.image_training import evaluate
from verify.printed_tables import printed_table

METHODS = ("none", "Mixup", "CutMix", "HMix", "GMix")
HYBRIDS = ("HMix", "GMix")
#: column: the methods that the paper's text has best and worst, with HMix and GMix between
ENDS = {"occluded": ("CutMix", "Mixup"), "corrupted": ("Mixup", "CutMix"), "FGSM": ("CutMix", "Mixup")}
ATTACK = 2 / 255


def compute(settings: Settings) -> Numbers:
    recipe = recipe_for(settings, TEXTURES)
    cases = [(method, seed) for method in METHODS for seed in settings.each_seed]
    ours: dict[str, dict[str, list[float]]] = {column: {row: [] for row in METHODS} for column in ("unchanged", *ENDS)}
    for method, seed in track(cases, "trainings"):
        run = trained(recipe, method, seed)
        for column, share in robustness(run, seed).items():
            ours[column][method].append(100 * share)
    relations = [
        Relation(*pair, column)
        for column, (best, worst) in ENDS.items()
        for pair in ((best, worst), *((best, ours) for ours in HYBRIDS), *((ours, worst) for ours in HYBRIDS))
    ]
    return table.table_numbers(
        printed_table("park2022", "table5"),
        ours,
        seeds=settings.each_seed,
        statement="CutMix is better than Mixup where the centre is occluded and under attack, worse on corrupted "
        "images; HMix and GMix are in between",
        relations=relations,
        conditions=conditions(recipe, settings) + "; the centre quarter black; mean over noise, blur and low "
        f"contrast; FGSM of size {round(ATTACK * 255)}/255",
    )


def robustness(run: Run, seed: int) -> dict[str, float]:
    """Test accuracy on images as they are, and made harder in three ways."""
    x, y = run.data.test_x, run.data.test_y
    noise = torch.Generator().manual_seed(seed)
    harder = [evaluate(run.model, corrupted(x, kind, noise), y).accuracy for kind in CORRUPTIONS]
    return {
        "unchanged": run.scores.test.accuracy,
        "occluded": evaluate(run.model, occluded(x), y).accuracy,
        "corrupted": sum(harder) / len(harder),
        "FGSM": evaluate(run.model, fgsm(run.model, x, y, ATTACK), y).accuracy,
    }


TABLE5 = image_table(
    "table5",
    "The methods on occluded, corrupted and attacked images",
    compute,
    of="Table 5",
    on="textures",
    seconds=130,
)
