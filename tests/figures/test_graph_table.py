"""Table 6 of Zou et al. on sets made here in TUDataset's format."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from figures import graph_table, table
from figures.__main__ import main
from figures.data_sets import given
from figures.definition import Settings
from figures.files import write_figure
from figures.graph_table import FIGURE
from verify.graph_training import FOLDS
from verify.mixupe_training import METHODS
from verify.printed_tables import printed_table

TINY = Settings(seeds=1, iterations=1, records=1)


def write(folder, name, labels):
    """Ten triangles and ten paths of three nodes."""
    (folder / name).mkdir()
    ends = [pair for k in range(20) for pair in ((1, 2), (2, 3), *[(1, 3)] * (k % 2))]
    starts = [3 * k for k in range(20) for _ in range(2 + k % 2)]
    edges = [(s + a, s + b) for s, pair in zip(starts, ends, strict=True) for a, b in (pair, pair[::-1])]
    parts = {
        "A": "".join(f"{a}, {b}\n" for a, b in edges),
        "graph_indicator": "".join(f"{k // 3 + 1}\n" for k in range(60)),
        "graph_labels": "1\n-1\n" * 10,
        "node_labels": "0\n1\n0\n" * 20,
    }
    for part in parts if labels else list(parts)[:3]:
        (folder / name / f"{name}_{part}.txt").write_text(parts[part])


@pytest.fixture
def settings(tmp_path):
    write(tmp_path, "PTC_MR", labels=True)
    write(tmp_path, "IMDB-MULTI", labels=False)
    return replace(TINY, data=(f"tudataset:{tmp_path}",))


def test_the_sets_that_are_there_make_the_columns(settings, tmp_path):
    written = write_figure(FIGURE, settings, tmp_path)
    numbers = json.loads(written[0].read_text())
    assert numbers["ours"]["columns"] == ["PTC", "IMDB-M"] and list(numbers["ours"]["values"]) == list(METHODS)
    for row in numbers["ours"]["values"].values():
        for cell in row:
            assert len(cell["values"]) == FOLDS and all(0 <= value <= 100 for value in cell["values"])
    stated = [(r["greater"], r["smaller"], r["column"]) for r in numbers["relations"]]
    assert stated[:2] == [("ERM", "MixupE", "PTC"), ("MixupE", "Mixup", "PTC")]
    assert stated[2:] == [(method, "MixupE", "IMDB-M") for method in METHODS[:2]]
    assert "(10 folds, paired" in numbers["finding"]
    assert "1 epochs, 10 folds; epoch, α and η are those with the least mean error on the test" in numbers["conditions"]
    assert "PTC ERM epoch 1, Mixup epoch 1 α = 0.1, MixupE epoch 1 α = 0.1 η = 0.001" in numbers["conditions"]
    text = table.markdown(numbers)
    assert "printed: PROTEINS |" in text and "ours: PTC | ours: IMDB-M |" in text
    assert "| MixupE | 10.06 | 17.74 | 35.50 | 23.72 | 25.20 | 48.53 |" in text


def test_a_fold_has_the_mean_over_the_seeds(settings, monkeypatch):
    monkeypatch.setattr(graph_table, "train", lambda data, fold, cell, seed, epochs: [seed] * epochs)
    scores = graph_table._scores("PTC", graph_table._sets(settings)["PTC"], replace(settings, seeds=2, seed=3), 4)
    assert [score.cell.method for score in scores] == list(METHODS)
    assert all(score.errors.shape == (FOLDS, 4) for score in scores)
    assert scores[1].errors[:, 0].tolist() == [35.0 + k for k in range(FOLDS)]


def test_names_of_columns_stand_apart():
    """With all six sets, printed and ours, the table is as wide as it gets."""
    printed = printed_table("mixupe2023", "table6")
    ours = {column: {method: [10.0, 40.0] for method in METHODS} for column in graph_table.SETS}
    numbers = table.table_numbers(printed, ours, seeds=[0], statement="", relations=[], conditions="", folds=2)
    picture = table.draw(numbers)
    renderer = FigureCanvasAgg(picture).get_renderer()
    names = [text for text in picture.axes[0].texts if text.get_text() in ours]
    boxes = sorted((text.get_window_extent(renderer) for text in names), key=lambda box: box.x0)
    assert len(boxes) == 12
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_a_folder_without_any_of_the_sets_is_told(tmp_path, capsys):
    assert main(["mixupe2023-table6", "--data", f"tudataset:{tmp_path}", "--out", str(tmp_path / "out")]) == 1
    assert f"{tmp_path} has none of the folders MUTAG, NCI1, PTC_MR, PROTEINS" in capsys.readouterr().err


def test_other_data_are_not_taken_for_graphs():
    settings = Settings(data=("svhn:there",))
    assert given(settings, "svhn") == "svhn:there" and given(settings, "tudataset") is None


def test_printed_numbers_are_as_the_paper_states_them():
    printed = printed_table("mixupe2023", "table6")
    assert printed.columns == tuple(graph_table.SETS)
    least = [min(METHODS, key=lambda row: printed.value(row, column)) for column in printed.columns]
    assert least == ["MixupE", "MixupE", "Mixup", "MixupE", "MixupE", "MixupE"]
