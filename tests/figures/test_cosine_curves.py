"""What Fig. 3 of Zhang et al. draws: R and the median R_i along training, and the R_i before and after."""

from dataclasses import replace

import numpy as np
import pytest

from figures.cosine_curves import BINS, FIGURE, METHODS, MODELS, PRINTED, RELU
from figures.definition import Settings

SETTINGS = Settings(seeds=2, seed=3, iterations=30, records=4)


@pytest.fixture(scope="module")
def numbers():
    return FIGURE.compute(SETTINGS)


def test_every_model_is_trained_by_every_method_on_the_same_points_and_starts(numbers):
    assert [(t["model"], t["method"]) for t in numbers["trainings"]] == [(a, b) for a in MODELS for b in METHODS]
    for model in MODELS:
        plain, mixup = (t for t in numbers["trainings"] if t["model"] == model)
        assert plain["start"] == mixup["start"]
        assert plain["end"] != mixup["end"]
        assert plain["seeds"] == [3, 4]


def test_curves_are_of_the_cosines(numbers):
    for training in numbers["trainings"]:
        end = np.array(training["end"])
        assert end.shape == (2, 100)
        assert training["epochs"][-1] == SETTINGS.iterations
        for name, value in (("least", end.min(1)), ("mean", end.mean(1))):
            np.testing.assert_allclose([row[-1] for row in training[name]], value, rtol=1e-12)
        for reached, accuracy in zip(training["reached"], training["accuracy"], strict=True):
            assert (reached is None) == (accuracy[-1] < 1)


def test_what_is_drawn_are_the_numbers(numbers):
    picture = FIGURE.draw(numbers)
    for axes, model in zip(picture.axes[:2], MODELS, strict=True):
        trainings = [t for t in numbers["trainings"] if t["model"] == model]
        wanted = [np.median(t[name], axis=0) for t in trainings for name in ("median", "least")]
        drawn = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == len(trainings[0]["epochs"])]
        np.testing.assert_array_equal(drawn, wanted)
    steps = [patch for patch in picture.axes[3].patches if not patch.fill]
    network = [t for t in numbers["trainings"] if t["model"] == RELU]
    for patch, training in zip(steps, network, strict=True):
        counts = [np.histogram(row, BINS)[0] for row in training["end"]]
        np.testing.assert_array_equal(patch.get_data().values, np.median(counts, axis=0))


def test_the_caption_sets_the_printed_numbers_beside_ours(numbers):
    caption = FIGURE.draw(numbers).legends[0].get_title().get_text()
    network = next(t for t in numbers["trainings"] if t["model"] == RELU)
    ours = [f"{np.median(np.min(network[when], axis=1)):.1e}" for when in ("start", "end")]
    for value in (*ours, *(f"{printed:.2e}" for printed in PRINTED.values()), "2 seeds"):
        assert value in caption


def test_strokes_mark_100_percent_only_where_most_runs_keep_it(numbers):
    for training in numbers["trainings"]:
        training = replace_reached(training, [5, None])
        assert len(strokes(training)) == 0
        assert strokes(replace_reached(training, [5, 7])) == [6]


def replace_reached(training, reached):
    return {**training, "reached": reached}


def strokes(training):
    picture = FIGURE.draw({"printed": PRINTED, "trainings": [{**training, "model": m} for m in MODELS]})
    return [line.get_xdata()[0] for line in picture.axes[0].lines if len(line.get_xdata()) == 2]


def test_settings_are_used(numbers):
    other = FIGURE.compute(replace(SETTINGS, seed=9, iterations=2))
    assert other["trainings"][0]["seeds"] == [9, 10]
    assert other["trainings"][0]["start"] != numbers["trainings"][0]["start"]
