"""Tables of Zou et al. (2023) on images: 1, 2, 3 and, of spoken words, 5, ERM against Mixup and MixupE; and 7, the
penalty with and without mixing, over eta.

As in the paper: SGD with momentum 0.9, batches of 100, step 0.1, a tenth of it from half and from three quarters of the
training on, weight decay 1e-4; eta = 0.001, the best for most of its experiments; for Table 5 Adam, step 0.001, and eta
= 0.01.  Ours: crops and flips but for spectrograms, of which the paper says nothing; for what is here, fewer images and
epochs, smaller networks, and step 0.02 for the textures.

Listing 1 passes the unmixed images through the network a second time, and batch norm's running statistics, by which the
network is tested, see them; with Mixup alone they see mixed images only.  Table 7 has a row for that pass without the
penalty, which the paper has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from figures import table
from figures.data_sets import KINDS, given
from figures.definition import Figure, Numbers, Settings
from figures.image_runs import scaled
from figures.relations import Relation
from msda_theory import Beta
from msda_theory._progress import track
from verify.image_benches import Bench, run
from verify.printed_tables import printed_table

ETA = 0.001
#: mixing or not, and eta; None without a second pass through the network
Methods = Mapping[str, tuple[bool, float | None]]
METHODS: Methods = {"ERM": (False, None), "Mixup": (True, None), "MixupE": (True, ETA)}
SPOKEN: Methods = {**METHODS, "MixupE": (True, 0.01)}
ETAS = (0.0001, 0.001, 0.01, 0.1)
PENALISED = f"ERM + penalty, η = {ETA:g}"
SECOND_PASS = "Mixup, second pass alone"
ABLATION: Methods = {
    "ERM": (False, None),
    "Mixup": (True, None),
    PENALISED: (False, ETA),
    SECOND_PASS: (True, 0.0),
    **{f"MixupE, η = {eta:g}": (True, eta) for eta in ETAS},
}
_HERE = Bench("", "small convnet", 20, batch=100, decay=1e-4, schedule="halves")
_TEXTURES = replace(_HERE, images="textures", size=16, lr=0.02)
_PAPER = replace(_HERE, network="PreActResNet-18", epochs=200)
_WIDE = replace(_PAPER, network="WideResNet-28-10")
_SPOKEN = Bench("", "LeNet", 20, batch=100, lr=0.001, schedule="constant", optimiser="Adam")


@dataclass(frozen=True)
class Images:
    """A table: the benches of what is here by column (none: it needs the user's data), and the paper's by kind.

    alpha : of Beta(alpha, alpha), by kind where the paper has more than one; 1 for what is here
    worse : the methods that MixupE is said to have less error than
    augmented : with crops and flips
    """

    name: str
    here: Mapping[str, Bench]
    papers: Mapping[str, Sequence[Bench]]
    alpha: Mapping[str, float]
    statement: str
    worse: Sequence[str] = ("ERM", "Mixup")
    augmented: bool = True

    def columns(self, settings: Settings) -> dict[str, tuple[Bench, float]]:
        """The benches and the alphas to run, by column: the paper's where their data are given, else what is here."""
        found = {}
        for kind, benches in self.papers.items():
            folder = given(settings, kind)
            for bench in benches if folder else ():
                column = f"{KINDS[kind].title}, {bench.network}"
                found[column] = replace(bench, images=str(folder)), self.alpha.get(kind, 1.0)
        columns = found or {column: (bench, 1.0) for column, bench in self.here.items()}
        return {column: (scaled(bench, settings), alpha) for column, (bench, alpha) in columns.items()}


BETTER = "MixupE has less error than ERM and than Mixup, throughout (sec. 3.1)."
TABLE1 = Images(
    "table1",
    {
        "textures, convnet": replace(_TEXTURES, limit=500),
        "textures, PreActRN18": replace(_TEXTURES, limit=500, network="PreActResNet-18, width 8"),
        "digits, convnet": replace(_HERE, images="digits", limit=500, flips=False),
    },
    {"cifar10": (_PAPER, _WIDE), "cifar100": (_PAPER, _WIDE)},
    {},
    BETTER,
)
TABLE2 = Images(
    "table2",
    {},
    {"svhn": (replace(_PAPER, flips=False),), "tiny-imagenet": (replace(_PAPER, size=64),)},
    {"tiny-imagenet": 0.2},
    BETTER,
)
TABLE3 = Images("table3", {}, {"imagenet": (replace(_PAPER, size=64),)}, {"imagenet": 0.2}, BETTER)
TABLE5 = Images(
    "table5",
    {},
    {"speech-commands": tuple(replace(_SPOKEN, network=network) for network in ("LeNet", "VGG-11", "VGG-13"))},
    {"speech-commands": 0.2},
    "MixupE has less error than Mixup with each network (sec. 3.3; that larger ones gain more is not judged here).",
    worse=("Mixup",),
    augmented=False,
)
TABLE7 = Images(
    "table7",
    {"textures, 20 a class": replace(_TEXTURES, limit=200, epochs=40)},
    {"cifar100": (_PAPER,)},
    {},
    "the penalty improves Mixup, for every η, and MixupE is better than ERM with the penalty (sec. 3.1, 3.5).",
)


def compute(images: Images, methods: Methods, settings: Settings) -> Numbers:
    """Test errors of every method, column and seed; and what the statement says of them."""
    columns, seeds = images.columns(settings), settings.each_seed
    ours: dict[str, dict[str, list[float]]] = {column: {method: [] for method in methods} for column in columns}
    for column, seed, method in track(list(product(columns, seeds, methods)), "trainings"):
        bench, alpha = columns[column]
        mixed, eta = methods[method]
        trained = run(bench, Beta(alpha, alpha), seed, mixed=mixed, eta=eta, augmented=images.augmented)
        ours[column][method].append(100 * (1 - trained.test[-1].accuracy))
    return table.table_numbers(
        printed_table("mixupe2023", images.name),
        ours,
        seeds=seeds,
        statement=images.statement,
        relations=[Relation(*pair, column) for column in columns for pair in _stated(images, methods)],
        conditions=_conditions(columns),
        unit="test error, %",
    )


def _stated(images: Images, methods: Methods) -> list[tuple[str, str]]:
    """Pairs of methods of which the second is said to have the smaller error."""
    enhanced = [method for method, (mixed, eta) in methods.items() if mixed and eta]
    if PENALISED in methods:
        return [("Mixup", method) for method in enhanced] + [(PENALISED, f"MixupE, η = {ETA:g}")]
    return [(method, "MixupE") for method in images.worse]


def _conditions(columns: Mapping[str, tuple[Bench, float]]) -> str:
    each = []
    for column, (bench, alpha) in columns.items():
        data = bench.data(0)
        size = "x".join(map(str, data.train_x.shape[1:]))
        each.append(
            f"{column}: {len(data.train_x)} images {size}, {bench.epochs} epochs of {bench.optimiser}, α = {alpha:g}"
        )
    return "; ".join(each)


def _figure(images: Images, methods: Methods, title: str, needs: str, seconds: float) -> Figure:
    return Figure(
        id=f"mixupe2023-{images.name}",
        title=title,
        source=f"Zou et al. (2023), Table {images.name.removeprefix('table')}",
        compute=partial(compute, images, methods),
        draw=table.draw,
        markdown=table.markdown,
        needs=needs,
        takes=tuple(images.papers),
        seconds=seconds,
    )


ALL = (
    _figure(TABLE1, METHODS, "Test error with ERM, Mixup and MixupE: images", "textures (packaged), digits", 200),
    _figure(TABLE2, METHODS, "Test error with ERM, Mixup and MixupE: SVHN and Tiny-ImageNet", "", 0),
    _figure(TABLE3, METHODS, "Test error with ERM, Mixup and MixupE: ImageNet", "", 0),
    _figure(TABLE5, SPOKEN, "Test error with ERM, Mixup and MixupE: spoken words", "", 0),
    _figure(TABLE7, ABLATION, "MixupE's penalty with and without mixing, over its weight", "textures (packaged)", 100),
)
