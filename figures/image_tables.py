"""Tables 1 (with 4), 2, 3 and 6 of Park et al. (2022) at the scale of small images: accuracies of the methods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from figures import table
from figures.data_sets import given
from figures.definition import Figure, Numbers, Settings
from figures.image_runs import USUAL, scaled_epochs
from figures.relations import Relation
from msda_theory._progress import track
from verify.image_runs import METHODS, Recipe, trained
from verify.printed_tables import printed_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

DIGITS = Recipe(data="digits", samples=300, epochs=30, lr=0.1)
TEXTURES = Recipe(data="textures", side=16, samples=600, epochs=40, lr=0.05)
#: the paper's, where the user gives the data: CIFAR-100 and ImageNet as in App. F, with the networks that are here
CIFAR = Recipe(network="PreActRN18", epochs=300, batch=100, lr=0.2, weight_decay=1e-4, schedule="step")
IMAGENET = Recipe(network="PreActRN18", side=64, epochs=300, batch=128, lr=0.1, weight_decay=2e-5)
PAPERS = {"cifar100": CIFAR, "imagenet": IMAGENET}
#: what stands for the paper's data here
HERE = {
    "digits": ("scikit-learn's digits", "cifar100"),
    "textures": ("patches of scikit-image's photographs", "imagenet"),
}


@dataclass(frozen=True)
class Way:
    """A row: a method and its parameters."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)


PLAIN = {name: Way(name) for name in METHODS}
HYBRIDS = ("HMix", "GMix")
HALF, MOST = "HMix, r = 0.5", "HMix, r = 0.75"
HMIX = {f"HMix, r = {r:g}": Way("HMix", {"r": r}) for r in (0.25, 0.5, 0.75)}
ABLATED = {
    **{name: PLAIN[name] for name in ("none", "Mixup", "CutMix")},
    **HMIX,
    **{f"HMix, alpha = {a:g}": Way("HMix", {"alpha": a}) for a in (0.5, 2.0)},
    **{f"GMix, alpha = {a:g}": Way("GMix", {"alpha": a}) for a in (0.25, 0.5, 0.75, 1.0)},
}
LARGE, SMALL = "large crop", "small crop"
CROPS = {LARGE: (0.8, 1.0), SMALL: (0.25, 0.4)}
NETWORKS = ("convolutional", "WRN10-1", "PreActRN18, 1/16 width")
PAPERS_NETWORKS = ("WRN28-2", "PreActRN18")


def recipe_for(settings: Settings, here: Recipe) -> Recipe:
    """The paper's recipe on the data that the user gave, else the one of what is here, scaled to the settings."""
    kind = HERE[here.data][1]
    name = given(settings, kind)
    return scaled(here if name is None else replace(PAPERS[kind], data=name), settings)


def scaled(recipe: Recipe, settings: Settings) -> Recipe:
    """The recipe as it is for the usual settings, shorter and smaller for smaller ones."""
    epochs = scaled_epochs(recipe.epochs, settings)
    samples = recipe.samples and max(20, round(recipe.samples * settings.samples / USUAL.samples))
    return replace(recipe, epochs=epochs, samples=samples)


def accuracies(
    columns: dict[str, Recipe], rows: dict[str, Way], settings: Settings
) -> dict[str, dict[str, list[float]]]:
    """Test accuracy in %, by column and row, one number a seed."""
    cases = [(c, r, seed) for c in columns for r in rows for seed in settings.each_seed]
    found: dict[str, dict[str, list[float]]] = {c: {r: [] for r in rows} for c in columns}
    for column, row, seed in track(cases, "trainings"):
        run = trained(columns[column], rows[row].method, seed, **rows[row].options)
        found[column][row].append(100 * run.scores.test.accuracy)
    return found


def compute_table1(settings: Settings) -> Numbers:
    rows = {"Mixup": PLAIN["Mixup"], "CutMix": PLAIN["CutMix"], HALF: HMIX[HALF], MOST: HMIX[MOST]}
    recipe = recipe_for(settings, TEXTURES)
    columns = {name: replace(recipe, crop=share) for name, share in CROPS.items()}
    return table.table_numbers(
        printed_table("park2022", "table1"),
        accuracies(columns, rows, settings),
        seeds=settings.each_seed,
        statement="CutMix is better than Mixup for large crops (80% to 100% of the area) and worse for small ones "
        "(25% to 40%); HMix is better than Mixup for large and better than CutMix for small crops",
        relations=[
            Relation("CutMix", "Mixup", LARGE),
            Relation("Mixup", "CutMix", SMALL),
            *(Relation(row, "Mixup", LARGE) for row in (HALF, MOST)),
            *(Relation(row, "CutMix", SMALL) for row in (HALF, MOST)),
        ],
        conditions=conditions(recipe, settings) + ", cropped while training, whole to test on",
    )


def compute_table2(settings: Settings) -> Numbers:
    recipe = recipe_for(settings, DIGITS)
    names = NETWORKS if recipe.data == DIGITS.data else PAPERS_NETWORKS
    columns = {name: replace(recipe, network=name) for name in names}
    return table.table_numbers(
        printed_table("park2022", "table2"),
        accuracies(columns, PLAIN, settings),
        seeds=settings.each_seed,
        statement="HMix and GMix outperform Mixup and CutMix; Stochastic often shows comparable performance",
        relations=[Relation(ours, other, c) for c in columns for ours in HYBRIDS for other in ("Mixup", "CutMix")],
        conditions=conditions(recipe, settings, network=False),
    )


def compute_table3(settings: Settings) -> Numbers:
    recipe = recipe_for(settings, TEXTURES)
    data = title_of(recipe)
    column = {data: recipe}
    others = [name for name in METHODS if name not in ("none", "HMix")]
    return table.table_numbers(
        printed_table("park2022", "table3"),
        accuracies(column, PLAIN, settings),
        seeds=settings.each_seed,
        statement="every method is better than none, and HMix the best",
        relations=[
            *(Relation(name, "none", data) for name in METHODS if name != "none"),
            *(Relation("HMix", name, data) for name in others),
        ],
        conditions=conditions(recipe, settings),
    )


def compute_table6(settings: Settings) -> Numbers:
    chosen = {"HMix, alpha": HALF, "GMix, alpha": "GMix, alpha = 0.5"}
    recipe = recipe_for(settings, DIGITS)
    data = title_of(recipe)
    pairs = [(top, row) for kind, top in chosen.items() for row in ABLATED if row.startswith(kind) and row != top]
    return table.table_numbers(
        printed_table("park2022", "table6"),
        accuracies({data: recipe}, ABLATED, settings),
        seeds=settings.each_seed,
        statement="the chosen alpha, 1 for HMix and 0.5 for GMix, is the best, r = 0.75 marginally better than 0.5",
        relations=[
            *(Relation(top, other, data) for top, other in pairs),
            Relation(MOST, HALF, data),
        ],
        conditions=conditions(recipe, settings) + "; where not said, r = 0.5 and alpha = 1",
    )


def title_of(recipe: Recipe) -> str:
    """Of the data: a set that is here by its name, the user's by its reader."""
    return recipe.data.partition(":")[0]


def conditions(recipe: Recipe, settings: Settings, *, network: bool = True) -> str:
    """How ours are made, in the recipe's words."""
    named = "a network of three convolutions" if recipe.network == "convolutional" else recipe.network
    count = "all images" if recipe.samples is None else f"{recipe.samples} images"
    side = "" if recipe.side is None else f", {recipe.side} x {recipe.side} pixels"
    trained_on = f"{count} of {title_of(recipe)}{side}, {recipe.epochs} epochs of SGD, {settings.seeds} seeds"
    return f"{named}, {trained_on}" if network else trained_on


def image_figure(
    name: str,
    title: str,
    compute: Callable[[Settings], Numbers],
    draw: Callable[[Numbers], Picture],
    *,
    of: str,
    on: str,
    seconds: float,
    markdown: Callable[[Numbers], str] | None = None,
) -> Figure:
    """A figure or table of Park et al. of networks trained on the images `on`, or on the user's."""
    return Figure(
        id=f"park2022-{name}",
        title=title,
        source=f"Park et al. (2022), {of}",
        compute=compute,
        draw=draw,
        markdown=markdown,
        needs=HERE[on][0],
        takes=(HERE[on][1],),
        seconds=seconds,
    )


def image_table(
    name: str, title: str, compute: Callable[[Settings], Numbers], *, of: str, on: str, seconds: float
) -> Figure:
    return image_figure(name, title, compute, table.draw, of=of, on=on, seconds=seconds, markdown=table.markdown)


TABLE1 = image_table(
    "table1",
    "Large and small crops: Mixup, CutMix and HMix",
    compute_table1,
    of="Tables 1 and 4",
    on="textures",
    seconds=200,
)
TABLE2 = image_table(
    "table2", "The methods on several networks", compute_table2, of="Table 2", on="digits", seconds=150
)
TABLE3 = image_table("table3", "The methods on larger images", compute_table3, of="Table 3", on="textures", seconds=150)
TABLE6 = image_table("table6", "Other r and alpha", compute_table6, of="Table 6", on="digits", seconds=80)
