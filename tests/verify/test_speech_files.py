"""Spectrograms of sines made here, and what is said of folders and sounds that are not as they should be."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import wavfile
from scipy.signal import get_window

from tests.verify.speech_commands import COUNT, PITCHES, RATE, sine, write_words
from verify.image_benches import Bench
from verify.image_sets import image_set
from verify.speech_files import FRAMES, FREQUENCIES, spectrogram, speech


@pytest.fixture
def words(tmp_path: Path) -> Path:
    return write_words(tmp_path)


def as_samples(sound: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(sound / 2**15)


@pytest.mark.parametrize("pitch", [50, 1000, 8000])
def test_a_sine_is_loudest_at_its_pitch(pitch: int) -> None:
    levels = spectrogram(as_samples(sine(pitch, shift=1.0)))
    assert levels.shape == (FREQUENCIES, FRAMES) == (160, 101)
    assert (levels.argmax(0)[2:-2] == pitch // 50 - 1).all(), "rows are 50, 100, .. Hz"


@pytest.mark.parametrize("count", [161, 4000, RATE, RATE + 999])
def test_spectrograms_by_their_definition(count: int) -> None:
    sound = np.random.default_rng(count).uniform(-1, 1, count)
    mirrored, window = np.pad(sound, 160, mode="reflect"), get_window("hamming", 320)
    expected = np.zeros((160, 101))
    for k in range(min(101, 1 + count // 160)):
        expected[:, k] = np.log(1 + np.abs(np.fft.rfft(window * mirrored[160 * k : 160 * k + 320])[1:]))
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    np.testing.assert_allclose(spectrogram(torch.from_numpy(sound)).numpy(), expected, rtol=0, atol=1e-10)


def test_silence_is_zero() -> None:
    assert (spectrogram(torch.zeros(RATE)) == 0).all()


def test_words_are_read_and_split_by_the_lists(words: Path) -> None:
    (x, y), (test_x, test_y) = speech(words)
    assert y.tolist() == [0] * 4 + [1] * 4 + [2] * 4 and test_y.tolist() == [0, 0, 1, 1, 2, 2]
    assert x.shape == (12, 1, 160, 101) and x.dtype == torch.float32
    torch.testing.assert_close(x.mean((1, 2, 3)), torch.zeros(12), rtol=0, atol=1e-5)
    torch.testing.assert_close(x.std((1, 2, 3)), torch.ones(12))
    for k, pitch in enumerate(PITCHES.values()):
        for shown, number in ((x[4 * k + 3], 3), (test_x[2 * k], 5)):
            expected = spectrogram(as_samples(sine(pitch, RATE - 1000 * number, number)))
            torch.testing.assert_close(shown[0].double(), expected, rtol=0, atol=1e-4)
    frames = 1 + (RATE - 1000 * (COUNT - 1)) // 160
    assert (test_x[1, 0, :, frames:] == test_x[1].min()).all(), "zeros, the least of log(1 + magnitude)"


def test_by_name_and_read_once_for_all_seeds(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = image_set(f"speech:{words}")
    assert found.classes == 3 and found.test_x.shape == (6, 1, 160, 101)
    with pytest.raises(ValueError, match=r"size=8 with speech:.*: needed is none"):
        image_set(f"speech:{words}", size=8)
    bench = Bench(f"speech:{words}", "LeNet", 1)
    assert bench.data(0) is bench.data(1)


def write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def sound(rate: int, samples: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: wavfile.write(folder / "left" / "0.wav", rate, samples)


def cut_off(folder: Path) -> None:
    path = folder / "left" / "0.wav"
    path.write_bytes(path.read_bytes()[:1000])


def without(pattern: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return remove


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (without("testing_list.txt"), "speech:{0} has no testing_list.txt that can be read"),
        (without("validation_list.txt"), "speech:{0} has no validation_list.txt that can be read"),
        (write("testing_list.txt", b""), "speech:{0} holds down (6), left (6), up (6) to train on and 0 utterances"),
        (without("up/[0-3].wav"), "speech:{0} holds down (4), left (4), up (0) to train on and 6 utterances"),
        (without("up/5.wav"), "speech:{0} has no up/5.wav: needed is every file that its lists name"),
        (write("left/0.wav", b"no sound"), "{0}/left/0.wav cannot be read as sound"),
        (write("left/0.wav", b"RIFF"), "{0}/left/0.wav cannot be read as sound"),
        (cut_off, "{0}/left/0.wav cannot be read as sound: Reached EOF"),
        (sound(8000, sine(1000)), "{0}/left/0.wav has (16000,) samples, int16, at 8000 Hz: needed are (161,) or more"),
        (sound(RATE, np.stack([sine(1000)] * 2, 1)), "{0}/left/0.wav has (16000, 2) samples, int16"),
        (sound(RATE, np.zeros(400, np.uint8)), "{0}/left/0.wav has (400,) samples, uint8"),
        (sound(RATE, sine(1000, 160)), "{0}/left/0.wav has (160,) samples"),
    ],
    ids=[
        "no test list", "no validation list", "empty list", "nothing to train on", "listed but missing", "no sound",
        "header cut off", "cut off", "8 kHz", "stereo", "8 bits", "too short",
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(words: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(words)
    with pytest.raises(ValueError, match=re.escape(said.format(words))):
        speech(words)


def test_an_empty_folder_and_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needed is the unpacked archive: DIR/word"):
        image_set(f"speech:{tmp_path / 'none'}")
    for name in ("validation_list.txt", "testing_list.txt"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match="holds no words to train on"):
        image_set(f"speech:{tmp_path}")
