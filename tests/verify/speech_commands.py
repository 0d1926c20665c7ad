"""A small set in the format of Speech Commands, made here: sines, one pitch a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import wavfile

RATE = 16_000
#: words and their pitch in Hz; rows of a spectrogram are 50 Hz apart
PITCHES = {"down": 1000, "left": 3000, "up": 6000}
#: of the utterances of each word, numbered from 0
VALIDATED, TESTED, COUNT = 4, 5, 7


def sine(pitch: float, samples: int = RATE, shift: float = 0.0) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * pitch * np.arange(samples) / RATE + shift)).astype(np.int16)


def write_words(folder: Path) -> Path:
    for word, pitch in PITCHES.items():
        (folder / word).mkdir()
        for k in range(COUNT):
            wavfile.write(folder / word / f"{k}.wav", RATE, sine(pitch, RATE - 1000 * k, k))
    noise = folder / "_background_noise_"
    noise.mkdir()
    wavfile.write(noise / "hum.wav", RATE, sine(50))
    for name, numbers in (("validation_list.txt", (VALIDATED,)), ("testing_list.txt", (TESTED, 6))):
        (folder / name).write_text("".join(f"{word}/{k}.wav\n" for word in PITCHES for k in numbers))
    return folder
