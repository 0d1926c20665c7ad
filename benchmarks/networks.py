"""python benchmarks/networks.py: `python -m verify` on a PreActResNet-18, on the CPU and on a CUDA device.

Draws are made on the CPU, so that both compute the same sums; the largest relative difference of a loss is shown.
Without a CUDA device its line says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

from benchmarks.measuring import machine_in_words
from verify.__main__ import main as verify
from verify.files import require_writable, write_atomically

COMMAND = (
    "--model preact-resnet18 --data textures --samples 16 --msda cutmix --sampler clip --directions 32 "
    "--method monte-carlo --draws 1000"
)
LOSSES = (("exact", "value"), ("theory", "total"), ("mean_point", "total"))


def measured(words: Sequence[str], device: str) -> dict[str, Any]:
    """The report of a run there."""
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(StringIO()):
        path = Path(folder) / "report.json"
        if code := verify([*words, "--device", device, "--json", str(path)]):
            raise SystemExit(code)
        report: dict[str, Any] = json.loads(path.read_text())
    return report


def line(device: str, report: dict[str, Any], reference: dict[str, Any]) -> str:
    gaps = (abs(report[a][b] - reference[a][b]) / abs(reference[a][b]) for a, b in LOSSES)
    cost = report["cost"]
    return f"| {device} | {cost['seconds']:.1f} | {cost['memory'] / 2**30:.2f} | {max(gaps):.1e} |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="also write the table there")
    parser.add_argument("--command", default=COMMAND, help="the arguments of python -m verify")
    options = parser.parse_args(arguments)
    if options.out is not None:
        require_writable(options.out, "--out")
    words = options.command.split()
    reference = measured(words, "cpu")
    rows = [line("cpu", reference, reference)]
    if torch.cuda.is_available():
        measured(words, "cuda")  # its first run also loads the kernels
        rows.append(line(f"cuda, {torch.cuda.get_device_name()}", measured(words, "cuda"), reference))
    else:
        rows.append("| cuda | skipped: torch finds no CUDA device | | |")
    head = ["# A PreActResNet-18 by device", "", f"`python -m verify {options.command}`, {machine_in_words()}.", ""]
    text = "\n".join(
        [*head, "| device | seconds | GiB | largest relative difference of a loss |", "|---|---:|---:|---:|", *rows, ""]
    )
    print(text, end="")
    if options.out is not None:
        write_atomically(options.out, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
