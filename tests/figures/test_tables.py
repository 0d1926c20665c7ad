"""A table as a figure: relations found in paired numbers, and the same cells in Markdown and picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox
from PIL import Image
from scipy.stats import ttest_rel

from figures import image_tables, table
from figures.definition import Figure, Numbers, Settings
from figures.files import write_figure
from figures.gradient_maps import FIG5, FIG6, KINDS, METHODS, alignments
from figures.park2022 import ALL
from figures.relations import OPEN, REVERSED, SEEN, Relation, compared, finding, interval
from figures.robustness_table import TABLE5
from verify.printed_tables import PrintedTable, printed_table

TABLES = [figure for figure in ALL if figure.markdown is not None]
TINY = Settings(seeds=2, iterations=4, samples=12, records=3, order=4)
PRINTED = PrintedTable("a caption", "accuracy, %", ("far", "near"), {"a": (1.5, None), "b": (2.25, 3.0)}, "a note")
OURS = {"here": {"a": [1.0, 2.0, 3.0], "b": [2.0, 3.1, 4.2], "c": [0.0, 5.0, 1.0]}, "there": {"b": [7.0, 7.0, 7.0]}}


def relation(greater: str, smaller: str) -> Numbers:
    return compared(Relation(greater, smaller, "here"), OURS)


def test_relations_are_those_of_the_paired_t_test() -> None:
    assert [relation(*pair)["found"] for pair in (("b", "a"), ("a", "b"), ("c", "a"))] == [SEEN, REVERSED, OPEN]
    expected = ttest_rel(OURS["here"]["b"], OURS["here"]["a"]).confidence_interval(0.95)
    assert relation("b", "a")["interval"] == pytest.approx(list(expected))
    assert relation("b", "a")["difference"] == pytest.approx(1.1)
    assert interval([1.0]) is None
    one = compared(Relation("b", "a", "here"), {"here": {"a": [1.0], "b": [2.0]}})
    assert one["found"] == OPEN


@pytest.mark.parametrize(
    "pairs, said",
    [
        ([("b", "a")], "borne out here: of 1 comparisons 1 come out"),
        ([("b", "a"), ("c", "a")], "borne out here in part: "),
        ([("c", "a")], "neither borne out nor refuted here: "),
        ([("a", "b")], "not borne out here: "),
        ([("a", "b"), ("b", "a")], "borne out here in part, and contradicted in part: "),
    ],
)
def test_the_sentence(pairs: list[tuple[str, str]], said: str) -> None:
    assert finding([relation(*pair) for pair in pairs], 3).startswith(said)


def test_the_sentence_names_what_is_turned_round() -> None:
    assert "1 the other way round (stated: a > b (here))" in finding([relation("a", "b")], 3)


def toy() -> Numbers:
    made = table.table_numbers(
        PRINTED,
        OURS,
        seeds=[3, 4, 5],
        statement="b is better than a",
        relations=[Relation("b", "a", "here")],
        conditions="three runs",
    )
    return json.loads(json.dumps(made, allow_nan=False)) | {"title": "A title", "source": "A paper, Table 0"}


def test_markdown_has_every_cell() -> None:
    text = table.markdown(toy())
    assert "|  | printed: far | printed: near | ours: here | ours: there |" in text
    assert "| a | 1.50 | – | 2.0 ± 2.5 | – |" in text
    assert "| b | 2.25 | 3.00 | 3.1 ± 2.7 | 7.0 ± 0.0 |" in text
    assert "| c | – | – | 2.0 ± 6.6 | – |" in text
    assert "**The paper:** b is better than a" in text and "**Found:** borne out here" in text and "a note" in text


def test_the_picture_has_the_cells_of_the_markdown() -> None:
    drawn = {text.get_text() for text in table.draw(toy()).axes[0].texts}
    assert {"2.0 ± 2.5", "7.0 ± 0.0", "2.25", "–", "printed", "far", "there", "c"} <= drawn
    assert any("borne out here" in text for text in drawn)


def test_no_text_of_the_picture_covers_another() -> None:
    """One narrow column a group is the hardest: the group's name is wider."""
    picture = table.draw(narrow())
    renderer = FigureCanvasAgg(picture).get_renderer()
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in picture.axes[0].texts if text.get_text()]
    covered = [(a, b) for k, (a, box) in enumerate(found) for b, other in found[:k] if _wide(box, other)]
    assert covered == []


def narrow() -> Numbers:
    return table.table_numbers(
        replace(PRINTED, columns=("x",), rows={"a": (1.5,), "b": (2.5,)}),
        {"y": {"a": [1.0, 2.0], "b": [2.0, 4.0]}},
        seeds=[0, 1],
        statement="",
        relations=[Relation("b", "a", "y")],
        conditions="",
    ) | {"title": "", "source": ""}


def _wide(box: Bbox, other: Bbox) -> bool:
    """Whether two boxes have a width in common at the same height, a point of leading aside."""
    common = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
    return common[0] > 1 and common[1] > 0.5 * box.height


@pytest.mark.parametrize("name", ["table1", "table2", "table3", "table5", "table6"])
def test_printed_tables_are_whole(name: str) -> None:
    printed = printed_table("park2022", name)
    assert printed.columns and printed.rows and printed.caption
    with pytest.raises(KeyError):
        printed_table("park2022", "table99")


def test_a_number_that_is_not_printed_is_refused() -> None:
    assert printed_table("park2022", "table2").value("HMix", "RN56") == 74.99
    with pytest.raises(ValueError, match="PuzzleMix"):
        printed_table("park2022", "table2").value("PuzzleMix", "RN56")


@cache
def numbers(figure: Figure) -> Numbers:
    return figure.compute(TINY)


@pytest.mark.parametrize("figure", TABLES, ids=lambda figure: figure.id)
def test_rows_of_ours_are_printed_rows_and_hold_a_number_a_seed(figure: Figure) -> None:
    found = numbers(figure)
    assert set(found["rows"]) == set(found["printed"]["values"]), "a row of ours has another name than the printed one"
    for row in found["ours"]["values"].values():
        for cell in row:
            assert cell is None or (len(cell["values"]) == 2 and all(0 <= value <= 100 for value in cell["values"]))
    assert found["relations"] and found["finding"]


def test_write_figure_adds_the_markdown(tmp_path) -> None:
    written = write_figure(TABLE5, TINY, tmp_path)
    assert [path.suffix for path in written] == [".json", ".md", ".pdf", ".png"]


def test_gradient_maps_are_largest_in_the_middle_and_symmetric() -> None:
    found = numbers(FIG5)
    for kind in KINDS:
        for method in METHODS:
            maps = np.array(found["products"][kind][method])
            assert maps.shape == (2, 31, 31)
            np.testing.assert_array_equal(maps, maps[:, ::-1, ::-1])
            assert (maps <= maps[:, 15:16, 15:16]).all()
    assert all(-1 <= value <= 1 for value in alignments(found, "mean"))


def test_gradient_pictures_show_the_means_over_seeds() -> None:
    found = numbers(FIG5)
    images = [ax.images[0] for ax in FIG5.draw(found).axes if ax.images]
    assert len(images) == 14
    shown = np.asarray(images[5].get_array())
    np.testing.assert_allclose(shown, np.mean(found["products"]["mean"]["none"], 0) ** 0.5)
    curves = FIG6.draw(found).axes
    assert [len(ax.lines) for ax in curves[:3]] == [5, 5, 4]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes of ten grey-level gradients, as PNG."""
    for name, level in (("dark", 40), ("middle", 120), ("bright", 200)):
        (tmp_path / name).mkdir()
        for k in range(10):
            image = np.full((20, 20, 3), level, np.uint8) + (np.arange(20, dtype=np.uint8) * (k % 3))[:, None, None]
            Image.fromarray(image).save(tmp_path / name / f"{k}.png")
    return tmp_path


@pytest.mark.parametrize("compute", [image_tables.compute_table1, image_tables.compute_table3])
def test_the_user_s_data_take_the_place_of_what_is_here(
    compute: Callable[[Settings], Numbers], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(image_tables.IMAGENET, network="convolutional", side=8, epochs=1, batch=8)
    monkeypatch.setitem(image_tables.PAPERS, "imagenet", short)
    found = compute(replace(TINY, data=(f"imagenet:{folder}",)))
    assert "all images of folder, 8 x 8 pixels, 1 epochs" in found["conditions"]
    assert str(folder) not in json.dumps(found)


def test_papers_recipes_are_what_the_appendix_prints() -> None:
    cifar, imagenet = image_tables.CIFAR, image_tables.IMAGENET
    assert (cifar.epochs, cifar.lr, cifar.batch, cifar.schedule) == (300, 0.2, 100, "step")
    assert (imagenet.epochs, imagenet.lr, imagenet.weight_decay, imagenet.schedule) == (300, 0.1, 2e-5, "cosine")
    assert image_tables.recipe_for(Settings(), image_tables.DIGITS) == image_tables.DIGITS
