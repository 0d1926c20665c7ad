"""Figs. 1 and 5 to 8 of Zhang et al. and the tables of Zou et al.: what is drawn and said are the numbers."""

import gzip
import struct

import numpy as np
import pytest
from torch import nn

from figures import fgsm, generalisation, image_runs, mixupe_tables, table, tabular_table
from figures.definition import Settings
from figures.image_runs import ERM, MIXED, MIXUP, bench_for
from figures.registry import FIGURES
from figures.relations import OPEN
from tests.verify.speech_commands import PITCHES, write_words
from verify import image_benches
from verify.image_benches import NETWORKS

TINY = Settings(seeds=2, seed=3, iterations=4, samples=12, records=3)
CASE = next(case for case in generalisation.CASES if case.id == "fig8")


@pytest.fixture(scope="module")
def curves():
    return generalisation.compute(CASE, TINY)


@pytest.fixture(scope="module")
def attacked():
    return fgsm.compute(TINY)


def picked(numbers, **wanted):
    return [run for run in numbers["runs"] if all(run[name] == value for name, value in wanted.items())]


def test_every_method_is_run_with_and_without_crops_from_every_seed(curves):
    cells = {(run["seed"], run["augmentation"], run["method"]) for run in curves["runs"]}
    assert cells == {(s, a, m) for s in (3, 4) for a in generalisation.AUGMENTED for m in MIXED}
    assert curves["printed"]["unit"] == "curves, without numbers"


def test_curves_are_drawn_as_medians(curves):
    axes = generalisation.draw(curves).axes
    panels = [(c, a) for c in generalisation.ROWS for a in generalisation.AUGMENTED]
    for ax, (curve, augmentation) in zip(axes, panels, strict=True):
        for line, (method, part, _) in zip(ax.lines, generalisation.LINES, strict=True):
            runs = picked(curves, augmentation=augmentation, method=method)
            np.testing.assert_array_equal(line.get_ydata(), np.median([run[f"{part}_{curve}"] for run in runs], 0))


def planted(seeds, better):
    """Numbers in which one method has the smaller error, loss and gap from every seed."""
    runs = []
    for seed, augmentation, method in (
        (s, a, m) for s in range(seeds) for a in generalisation.AUGMENTED for m in MIXED
    ):
        at = (1.0 if method == better else 2.0) + 0.01 * seed
        ends = {"test_error": [at], "test_loss": [at], "train_loss": [0.5]}
        runs.append({"seed": seed, "augmentation": augmentation, "method": method, **ends})
    return runs


@pytest.mark.parametrize(("better", "said"), [(MIXUP, "borne out here: of 3"), (ERM, "not borne out here: of 3")])
def test_the_sentence_is_computed_from_the_ends(better, said):
    for augmentation in generalisation.AUGMENTED:
        assert generalisation._found(planted(3, better), augmentation, 3)["sentence"].startswith(said)


def test_attacks_start_from_the_clean_accuracy_and_never_help(attacked):
    for run in attacked["runs"]:
        assert run["accuracy"][0] == pytest.approx(100 - run["test_error"][-1], abs=8), "of 240 of 450 test images"
        assert all(later <= run["accuracy"][0] for later in run["accuracy"][1:])
    assert attacked["radii"][0] == 0


def test_accuracies_are_drawn_and_the_sentences_stand_below(attacked):
    picture = fgsm.draw(attacked)
    for line, method in zip(picture.axes[0].lines, MIXED, strict=True):
        runs = picked(attacked, method=method)
        np.testing.assert_array_equal(line.get_ydata(), np.median([run["accuracy"] for run in runs], 0))
    text = picture.legends[0].get_title().get_text().replace("\n", " ")
    for sentence in (*(each["sentence"] for each in attacked["findings"].values()), attacked["statement"]):
        assert sentence in text


def test_robustness_is_judged_at_every_attack(attacked):
    runs = [
        {"method": m, "seed": s, "accuracy": [90.0] + [50.0 + 10 * (m == MIXUP) + s] * (len(fgsm.RADII) - 1)}
        for s in range(3)
        for m in MIXED
    ]
    count = len(fgsm.RADII) - 1
    found = fgsm._found_robust(runs, 3)
    assert [each["difference"] for each in found["relations"]] == [10.0] * count
    assert found["sentence"].startswith(f"borne out here: of {count} comparisons {count} come out as stated")


def test_table_7_judges_every_eta_and_both_sides_of_the_ablation():
    numbers = FIGURES["mixupe2023-table7"].compute(TINY)
    pairs = [(r["greater"], r["smaller"]) for r in numbers["relations"]]
    etas = [f"MixupE, η = {eta:g}" for eta in mixupe_tables.ETAS]
    assert pairs == [("Mixup", row) for row in etas] + [("ERM + penalty, η = 0.001", "MixupE, η = 0.001")]
    assert numbers["printed"]["values"]["Mixup"] == [23.03]
    assert "| Mixup | 23.03 |" in table.markdown(numbers | {"title": "", "source": ""})
    (column,) = numbers["ours"]["columns"]
    assert all(len(numbers["ours"]["values"][row][0]["values"]) == 2 for row in mixupe_tables.ABLATION), column


def test_table_4_has_the_methods_on_every_table():
    numbers = tabular_table.compute(TINY)
    assert numbers["ours"]["columns"] == list(tabular_table.TABLES)
    assert len(numbers["relations"]) == 2 * len(tabular_table.TABLES)
    same = [r for r in numbers["relations"] if r["difference"] == 0 and r["interval"][0] == r["interval"][1]]
    assert all(r["found"] == OPEN for r in same)


@pytest.fixture
def kuzushiji(tmp_path):
    """A set in IDX format, made here: 40 images to train on, 20 to test on."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("t10k", 20)):
        for name, array in (
            (f"{part}-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), np.uint8)),
            (f"{part}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10),
        ):
            content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    return tmp_path


def test_the_paper_s_bench_is_run_on_the_user_s_data(kuzushiji):
    settings = Settings(seeds=1, iterations=1, records=1, data=(f"kuzushiji-mnist:{kuzushiji}",))
    bench = bench_for(settings, CASE.here, CASE.papers)
    assert (bench.network, bench.images, bench.epochs) == ("PreActResNet-18", f"idx:{kuzushiji}", 1)
    assert bench_for(Settings(data=settings.data), CASE.here, CASE.papers).epochs == 200
    data = bench.data(0)
    assert data.train_x.shape == (40, 1, 28, 28)
    assert image_runs.conditions(bench, settings).startswith("Kuzushiji-MNIST (40 to train on, 20 to test on, 1x28x28)")


def test_without_the_user_s_data_the_bench_is_of_what_is_here():
    assert bench_for(Settings(), CASE.here, CASE.papers) == CASE.here
    assert bench_for(Settings(data=("svhn:/a",)), CASE.here, CASE.papers) == CASE.here


def test_a_table_runs_on_every_kind_that_is_given(tmp_path):
    settings = Settings(data=(f"svhn:{tmp_path}", f"tiny-imagenet:{tmp_path}"))
    columns = mixupe_tables.TABLE2.columns(settings)
    assert {column: (bench.size, alpha) for column, (bench, alpha) in columns.items()} == {
        "SVHN, PreActResNet-18": (None, 1.0),
        "Tiny-ImageNet, PreActResNet-18": (64, 0.2),
    }
    assert mixupe_tables.TABLE2.columns(Settings()) == {}


def test_table_5_is_what_the_paper_says_of_its_training(tmp_path):
    columns = mixupe_tables.TABLE5.columns(Settings(data=(f"speech-commands:{tmp_path}",)))
    assert list(columns) == [f"Speech Commands, {network}" for network in ("LeNet", "VGG-11", "VGG-13")]
    for bench, alpha in columns.values():
        assert (bench.epochs, bench.batch, bench.lr, bench.optimiser, alpha) == (20, 100, 0.001, "Adam", 0.2)
        assert (bench.schedule, bench.decay) == ("constant", 0) and "20 epochs of Adam" in bench.described()
    assert mixupe_tables.SPOKEN["MixupE"] == (True, 0.01)


def test_table_5_is_made_of_spoken_words(tmp_path, monkeypatch):
    def small(classes, channels, shape):
        assert (classes, channels, shape) == (len(PITCHES), 1, (160, 101))
        return nn.Sequential(nn.AvgPool2d(8), nn.Flatten(), nn.Linear(20 * 12, classes))

    for network in ("LeNet", "VGG-11", "VGG-13"):
        monkeypatch.setitem(NETWORKS, network, small)
    monkeypatch.setattr(image_benches, "CropsAndFlips", lambda *_: pytest.fail("spectrograms were cut or mirrored"))
    settings = Settings(seeds=2, data=(f"speech-commands:{write_words(tmp_path)}",))
    numbers = FIGURES["mixupe2023-table5"].compute(settings)
    assert [(r["greater"], r["smaller"]) for r in numbers["relations"]] == [("Mixup", "MixupE")] * 3
    assert numbers["conditions"].startswith("Speech Commands, LeNet: 12 images 1x160x101, 20 epochs of Adam, α = 0.2;")
    text = table.markdown(numbers | {"title": "", "source": ""})
    assert "| ours: Speech Commands, LeNet | ours: Speech Commands, VGG-11 | ours: Speech Commands, VGG-13 |" in text
    for row in mixupe_tables.SPOKEN:
        assert [cell["values"] for cell in numbers["ours"]["values"][row]] == [[0.0, 0.0]] * 3, "pitches are told apart"
