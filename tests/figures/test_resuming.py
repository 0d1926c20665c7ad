"""`python -m figures` goes on where it was: numbers of the same settings, versions, code and data are not remade."""

import json
from dataclasses import replace

import pytest

from figures import __main__ as command
from figures import files
from figures.definition import Figure, Settings
from figures.files import fingerprint, is_made, write_figure
from figures.registry import FIGURES

SETTINGS = Settings(seeds=1)
made = []


def compute(settings):
    made.append(settings)
    return {"value": settings.seed}


def draw(numbers):
    from matplotlib.figure import Figure as Picture

    return Picture(figsize=(1, 1))


FIGURE = Figure("own", "a figure of ours", "here", compute, draw, takes=("cifar10",))


@pytest.fixture(autouse=True)
def forget():
    made.clear()


def test_the_second_time_only_the_pictures_are_drawn(tmp_path):
    first = write_figure(FIGURE, SETTINGS, tmp_path)
    pictures = {path: path.read_bytes() for path in first}
    first[1].unlink()
    assert is_made(FIGURE, SETTINGS, tmp_path)
    assert write_figure(FIGURE, SETTINGS, tmp_path) == first
    assert {path: path.read_bytes() for path in first} == pictures
    assert len(made) == 1


CHANGES = {
    "seeds": {"seeds": 2},
    "first seed": {"seed": 1},
    "length": {"iterations": 3},
    "data that it takes": {"data": ("cifar10:/a",)},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_settings_are_computed(tmp_path, change):
    write_figure(FIGURE, SETTINGS, tmp_path)
    write_figure(FIGURE, replace(SETTINGS, **change), tmp_path)
    assert len(made) == 2


def test_data_that_the_figure_does_not_take_change_nothing(tmp_path):
    write_figure(FIGURE, SETTINGS, tmp_path)
    assert is_made(FIGURE, replace(SETTINGS, data=("svhn:/a",)), tmp_path)


def test_another_version_or_other_code_is_computed(tmp_path, monkeypatch):
    write_figure(FIGURE, SETTINGS, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("msda_theory.__version__", "0.0.0")
        assert not is_made(FIGURE, SETTINGS, tmp_path)
    assert is_made(FIGURE, SETTINGS, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(files, "_source_code", lambda: b"changed")
        assert not is_made(FIGURE, SETTINGS, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"fingerprint": "other"}'])
def test_what_is_not_our_numbers_is_no_obstacle(tmp_path, content):
    (tmp_path / "own.json").write_text(content)
    write_figure(FIGURE, SETTINGS, tmp_path)
    assert json.loads((tmp_path / "own.json").read_text())["fingerprint"] == fingerprint(FIGURE, SETTINGS)


def test_figures_have_fingerprints_of_their_own():
    assert len({fingerprint(figure, SETTINGS) for figure in FIGURES.values()}) == len(FIGURES)


def test_the_command_says_what_is_there_goes_on_after_a_failure_and_skips_what_lacks_data(
    tmp_path, capsys, monkeypatch
):
    def fail(settings):
        raise ValueError("the files are damaged")

    broken = replace(FIGURE, id="broken", compute=fail)
    absent = replace(FIGURE, id="absent", needs="")
    figures = {figure.id: figure for figure in (broken, absent, FIGURE)}
    monkeypatch.setattr("figures.registry.FIGURES", figures)
    write_figure(FIGURE, Settings(), tmp_path)
    assert command.main(["all", "--jobs", "1", "--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "absent is not made, it needs data that is not here: --data cifar10:DIR, CIFAR-10: DIR holds cifar" in said
    assert "figures: broken: the files are damaged" in said
    assert "1 of 2 figures are there" in said and "figure 2 of 2: own, 0 s" in said
    assert len(made) == 1
    assert command.main(["absent", "--out", str(tmp_path), "--data", f"cifar10:{tmp_path}"]) == 0
    assert (tmp_path / "absent.json").exists()


def test_side_by_side_the_same_files_are_made(tmp_path):
    names = ["park2022-fig2", "park2022-fig3"]
    for jobs in ("1", "2"):
        assert command.main([*names, "--seeds", "1", "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    assert len(list((tmp_path / "1").iterdir())) == len(list((tmp_path / "2").iterdir())) == 6
    for name in names:
        alone, beside = (json.loads((tmp_path / jobs / f"{name}.json").read_text()) for jobs in ("1", "2"))
        del alone["fingerprint"], beside["fingerprint"]  # somebody may be editing the code meanwhile
        assert alone == beside
