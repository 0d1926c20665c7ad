"""Spoken words that the user has on disk, as Google's Speech Commands come, as spectrograms of one size.

As in Zhang et al. (mixup, 2018), sec. 3.3, whose sizes and normalisation are those of the gcommand_loader: Hamming
windows of 20 ms every 10 ms, the utterance mirrored at its ends; log(1 + magnitude); zeros up to 101 windows; mean 0
and standard deviation 1.  These windows have 161 frequencies, the paper says 160: the constant (0 Hz) is left out.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.io import wavfile
from torch import Tensor
from torch.nn.functional import pad

from msda_theory._progress import track
from verify.image_files import Labelled

#: an utterance on disk and the number of its word
Utterance = tuple[Path, int]

RATE = 16_000
WINDOW, STRIDE = 320, 160  # samples
FREQUENCIES, FRAMES = WINDOW // 2, 101
SHORTEST = WINDOW // 2 + 1  # samples, for half a window to be mirrored
VALIDATION, TESTING = "validation_list.txt", "testing_list.txt"
NEEDED = f"needed is the unpacked archive: DIR/word/*.wav, {VALIDATION} and {TESTING}"


def speech(folder: Path) -> tuple[Labelled, Labelled]:
    """(x, y) for training and for testing: x (m, 1, 160, 101), each of mean 0 and standard deviation 1, y (m,).

    folder : has a folder of .wav a word, validation_list.txt and testing_list.txt; folders that begin with "_", as that
        of noise does, are passed over.  What neither list names is trained on, what the second names tested on.

    Raises ValueError where a list, the words or a file that is listed are missing, or a file is no utterance: mono, 16
    bits, 16 kHz.
    """
    validation, testing = (_listed(folder, name) for name in (VALIDATION, TESTING))
    words = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_"))
    files = dict(_utterances(folder, words))
    train = [found for name, found in files.items() if name not in validation | testing]
    test = [found for name, found in files.items() if name in testing]
    _require_words(folder, words, train, test)
    missing = sorted((validation | testing) - files.keys())
    if missing:
        raise ValueError(f"speech:{folder} has no {missing[0]}: needed is every file that its lists name")
    return _spectrograms(train, "reading utterances to train on"), _spectrograms(test, "reading utterances to test on")


def spectrogram(samples: Tensor) -> Tensor:
    """(160, 101) of samples (n,) in [-1, 1) at 16 kHz, n at least 161; silence is 0.  Rows are 50, 100, .., 8000 Hz."""
    window = torch.hamming_window(WINDOW, dtype=samples.dtype)
    waves = torch.stft(samples, WINDOW, STRIDE, window=window, pad_mode="reflect", return_complex=True)
    levels = waves[1:, :FRAMES].abs().log1p()
    padded = pad(levels, (0, FRAMES - levels.shape[1]))
    scale, mean = torch.std_mean(padded)
    return (padded - mean) / (scale if scale > 0 else 1)


def _listed(folder: Path, name: str) -> set[str]:
    """The lines of a list, "word/file.wav"."""
    try:
        return set((folder / name).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"speech:{folder} has no {name} that can be read ({error}): {NEEDED}") from error


def _utterances(folder: Path, words: Sequence[str]) -> Iterator[tuple[str, Utterance]]:
    """Each as the lists name it."""
    for k, word in enumerate(words):
        for path in sorted((folder / word).glob("*.wav")):
            yield f"{word}/{path.name}", (path, k)


def _require_words(folder: Path, words: Sequence[str], train: Sequence[Utterance], test: Sequence[Utterance]) -> None:
    counts = np.bincount([k for _, k in train], minlength=len(words))
    if len(words) < 2 or counts.min() < 1 or not test:
        found = ", ".join(f"{word} ({count})" for word, count in zip(words, counts, strict=True)) or "no words"
        raise ValueError(
            f"speech:{folder} holds {found} to train on and {len(test)} utterances to test on: needed are two words or "
            f"more, each with an utterance to train on, and one to test on"
        )


def _spectrograms(utterances: Sequence[Utterance], doing: str) -> Labelled:
    x = torch.empty(len(utterances), 1, FREQUENCIES, FRAMES)
    for k, (path, _) in enumerate(track(utterances, doing)):
        x[k, 0] = spectrogram(_samples(path))
    return x, torch.tensor([word for _, word in utterances])


def _samples(path: Path) -> Tensor:
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Reached EOF", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except (OSError, ValueError, struct.error, wavfile.WavFileWarning) as error:
        raise ValueError(f"{path} cannot be read as sound: {error}") from error
    if (rate, samples.dtype, samples.ndim) != (RATE, np.int16, 1) or len(samples) < SHORTEST:
        found = f"{samples.shape} samples, {samples.dtype}, at {rate} Hz"
        raise ValueError(f"{path} has {found}: needed are ({SHORTEST},) or more, int16 (mono, 16 bits), at {RATE} Hz")
    return torch.from_numpy(samples.astype(np.float32)) / 2**15
