"""The figures: numbers, pictures drawn from them, and the command line."""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache
from inspect import signature
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure as Picture

from figures import __main__ as command
from figures import three_expansions
from figures.definition import Settings
from figures.files import write_figure, write_pictures
from figures.registry import ALL, FIGURES, select
from figures.training_curves import LINES, ROWS
from msda_theory import Beta, directional_loss
from verify.problems import digits, fit, loss_for, network, standard_objective
from verify.training_runs import train_pair, trajectories

ROOT = Path(__file__).resolve().parents[2]
TINY = Settings(seeds=2, iterations=4, samples=12, records=3, order=4)


CURVES = ("park2022-fig1", "zhang2021-fig2")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """The paths of a figure, made once with tiny settings."""
    return cache(lambda name: write_figure(FIGURES[name], TINY, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module", params=sorted(name for name, figure in FIGURES.items() if figure.needs))
def figure(request):
    return FIGURES[request.param]


@pytest.fixture
def written(figure, make):
    return make(figure.id)


@pytest.fixture(params=CURVES)
def curves(request, make):
    """A figure of training curves and its numbers."""
    return FIGURES[request.param], json.loads(make(request.param)[0].read_text())


@pytest.fixture
def tiny(monkeypatch):
    """The command with tiny runs instead of the usual ones."""
    monkeypatch.setattr(command, "Settings", lambda **chosen: replace(TINY, **chosen))
    return lambda arguments: command.main(["--jobs", "1", *arguments])


def test_usual_settings_are_those_of_the_training_runs():
    usual = {
        name: p.default
        for taken in (train_pair, trajectories)
        for name, p in signature(taken).parameters.items()
        if p.kind is p.KEYWORD_ONLY
    }
    assert usual == {name: getattr(Settings(), name) for name in usual}


def test_numbers_are_plain_and_tell_how_they_were_made(figure, written):
    numbers = json.loads(written[0].read_text(), parse_constant=pytest.fail)  # no NaN, no Infinity
    assert numbers["figure"] == figure.id
    assert numbers["settings"] == {**vars(TINY), "data": []}
    assert {"torch", "numpy", "python", "msda_theory"} <= set(numbers["versions"])


def test_columns_hold_a_run_a_seed(curves):
    _, numbers = curves
    for column in numbers["columns"]:
        assert [run["seed"] for run in column["runs"]] == [0, 1]
        assert all(run["iterations"][-1] == TINY.iterations for run in column["runs"])
        assert column["summary"]["own_train_largest"]["low"] <= column["summary"]["own_train_largest"]["high"]


def test_what_is_drawn_are_the_numbers(curves):
    figure, numbers = curves
    picture = figure.draw(numbers)
    axes = np.reshape(picture.axes, (len(ROWS), len(numbers["columns"])))
    for row, part in enumerate(ROWS):
        for k, column in enumerate(numbers["columns"]):
            assert len(axes[row, k].lines) == len(axes[row, k].collections) == len(LINES)
            for line, band, (trained_by, loss, _, _) in zip(
                axes[row, k].lines, axes[row, k].collections, LINES, strict=True
            ):
                curves = [run[trained_by][f"{part}_{loss}"] for run in column["runs"]]
                np.testing.assert_array_equal(line.get_xdata(), column["runs"][0]["iterations"])
                np.testing.assert_array_equal(line.get_ydata(), np.median(curves, axis=0))
                corners = band.get_paths()[0].vertices[:, 1]
                assert (corners.min(), corners.max()) == (np.min(curves), np.max(curves))


def test_each_picture_has_labels_and_lines_that_differ_without_colour(curves):
    figure, numbers = curves
    picture = figure.draw(numbers)
    assert all(axes.get_title() for axes in picture.axes[: len(picture.axes) // 2])
    assert [axes.get_ylabel() for axes in picture.axes if axes.get_ylabel()] == list(ROWS.values())
    assert len({repr(line._unscaled_dash_pattern) for line in picture.axes[0].lines}) == len(LINES)
    assert "median of 2 seeds" in picture.legends[0].get_title().get_text()


def test_pdf_embeds_its_fonts_and_is_the_same_each_time(figure, written):
    pdf = next(path for path in written if path.suffix == ".pdf")
    first = pdf.read_bytes()
    assert b"/FontFile2" in first
    assert b"/Type3" not in first
    write_pictures(figure, written[0])
    assert pdf.read_bytes() == first


def test_the_user_s_matplotlib_stays_as_it_is(figure, written):
    before = {name: value for name, value in matplotlib.rcParams.items() if name != "backend"}
    figure.draw(json.loads(written[0].read_text()))
    assert {name: value for name, value in matplotlib.rcParams.items() if name != "backend"} == before


def test_importing_the_figures_loads_neither_the_claims_nor_matplotlib():
    code = (
        "import sys, figures.__main__; names = {n.split('.')[0] for n in sys.modules}; "
        "print(names & {'figures', 'paper_checks', 'matplotlib'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "{'figures'}", done.stderr


def test_select():
    assert [f.id for f in select([ALL])] == list(FIGURES)
    assert [f.id for f in select(["zhang2021-fig2", "zhang2021-fig2"])] == ["zhang2021-fig2"]


def test_command_writes_three_files_a_figure(tiny, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    assert tiny([*CURVES, "--out", str(out), "--seeds", "1", "--seed", "7"]) == 0
    expected = {f"{name}.{kind}" for name in CURVES for kind in ("json", "pdf", "png")}
    assert {path.name for path in out.iterdir()} == expected
    assert (out / "park2022-fig1.png").read_bytes().startswith(b"\x89PNG")
    numbers = json.loads((out / "park2022-fig1.json").read_text())
    assert [run["seed"] for run in numbers["columns"][0]["runs"]] == [7]
    printed = capsys.readouterr()
    assert set(printed.out.split()) == {str(out / name) for name in expected}
    assert [line.split(",")[0] for line in printed.err.splitlines()[1:]] == [
        f"figure {k} of 2: {name}" for k, name in enumerate(CURVES, start=1)
    ], "and no progress bar where the output is not a terminal"


def test_command_lists(capsys):
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(FIGURES)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["park2022-figure1"], "'park2022-figure1'; the nearest ids are park2022-fig1"),
        (["qqq"], ", ".join(FIGURES)),
        ([], "no figure is named"),
        (["mixupe2023-table5"], "--data speech-commands:DIR, Speech Commands: DIR holds speech_commands_v0.01.tar.gz"),
        (["mixupe2023-table6"], "--data tudataset:DIR, TUDataset: DIR holds MUTAG/MUTAG_A.txt"),
        (["mixupe2023-table3"], "--data imagenet:DIR, ImageNet: DIR holds a folder a class"),
        ([ALL, "--data", "cifar10:/no/such/folder"], "'/no/such/folder' is not a folder; needed is --data cifar10:DIR"),
        ([ALL, "--data", "cifar11:."], "needed is KIND:DIR with KIND one of cifar10"),
        ([ALL, "--data", "svhn:.", "--data", "svhn:.."], "--data svhn:DIR is given twice"),
        ([ALL, "--seeds", "0"], "--seeds=0"),
        ([ALL, "--seed", "-1"], "--seed=-1"),
        ([ALL, "--jobs", "0"], "--jobs=0"),
    ],
)
def test_command_refuses_and_makes_nothing(tiny, tmp_path, capsys, arguments, said):
    out = tmp_path / "out"
    assert tiny([*arguments, "--out", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_command_refuses_a_folder_that_cannot_be_written_before_any_work(tmp_path, capsys, monkeypatch, below):
    (tmp_path / "file").write_text("kept")
    monkeypatch.setattr(command, "make_all", lambda *_: pytest.fail("work was done"))
    assert command.main([ALL, "--out", str(tmp_path / "file" / below)]) == 2
    assert f"--out={tmp_path / 'file'}" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "kept"


def test_command_needs_a_folder(capsys):
    assert command.main([ALL]) == 2
    assert "--out is missing" in capsys.readouterr().err


def test_command_tells_of_a_training_that_diverged(tiny, tmp_path, capsys, monkeypatch):
    def diverge(*_, **__):
        raise FloatingPointError("training diverged at iteration 3: the loss is nan")

    monkeypatch.setattr("figures.training_curves.train_pair", diverge)
    assert tiny(["park2022-fig1", "--out", str(tmp_path)]) == 1
    assert "park2022-fig1: training diverged at iteration 3" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_interrupted_drawing_leaves_whole_numbers_and_nothing_else(tiny, tmp_path, monkeypatch):
    def half(self, file, **_):
        file.write(b"%PDF-half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Picture, "savefig", half)
    with pytest.raises(KeyboardInterrupt):
        tiny(["park2022-fig1", "--out", str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["park2022-fig1.json"]
    json.loads((tmp_path / "park2022-fig1.json").read_text())


def test_interrupted_write_leaves_what_was_there_before(tiny, tmp_path, monkeypatch):
    (tmp_path / "park2022-fig1.json").write_text("before")

    def interrupted(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("verify.files.os.replace", interrupted)
    with pytest.raises(OSError, match="disk"):
        tiny(["park2022-fig1", "--out", str(tmp_path)])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("park2022-fig1.json", "before")]


def test_fourth_order_from_shared_derivatives_is_the_directional_loss(make):
    run = json.loads(make("three-expansions")[0].read_text())["runs"][0]
    x, y = digits(TINY.samples, seed=run["seed"])
    loss, width = loss_for(y)
    model = network(run["model"], tuple(x.shape[1:]), width, seed=run["seed"])
    fit(model, standard_objective(loss, x, y, weight_decay=run["decay"]))
    ratios = [Beta(alpha, alpha) for alpha in three_expansions.ALPHAS]
    assert run["directional"] == pytest.approx([directional_loss(model, loss, x, y, r, 4).total for r in ratios])
    assert run["data"] == pytest.approx([directional_loss(model, loss, x, y, r, 2).total for r in ratios])


def test_a_figure_has_its_usual_number_of_seeds_unless_one_is_named(monkeypatch, tmp_path):
    given = {}
    monkeypatch.setattr(command, "make_all", lambda plans, *_: given.update({f.id: s.seeds for f, s in plans}) or ())
    command.main(["zhang2021-fig3", "zhang2021-fig2", "--out", str(tmp_path)])
    assert given == {"zhang2021-fig3": 20, "zhang2021-fig2": Settings().seeds}
    command.main(["zhang2021-fig3", "--seeds", "3", "--out", str(tmp_path)])
    assert given["zhang2021-fig3"] == 3
