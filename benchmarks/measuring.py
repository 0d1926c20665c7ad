"""What every benchmark does: one thread, least times, the machine in words, files written whole."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import timeit
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from verify.files import require_writable, write_atomically


def seconds(run: Callable[[], object]) -> float:
    """The least time of three runs in a row: the first finds the caches as another contender left them."""
    return min(timeit.repeat(run, number=1, repeat=3))


def machine() -> dict[str, str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
    }


def machine_in_words() -> str:
    return ", ".join(f"{name} {value}" for name, value in machine().items())


@dataclass(frozen=True)
class Result:
    """A table of strings, sentences that hold it against the targets, remarks, and the rows for JSON."""

    title: str
    headings: tuple[str, ...]
    cells: Sequence[Sequence[str]]
    verdicts: Sequence[str]
    rows: Sequence[dict[str, Any]]
    remarks: Sequence[str] = ()

    def markdown(self, command: str) -> str:
        lines = [
            f"# {self.title}",
            "",
            f"`{command}`, on one thread of {machine_in_words()}.",
            "",
            f"| {' | '.join(self.headings)} |",
            "|" + "|".join("---:" if numeric else "---" for numeric in self._numeric()) + "|",
            *(f"| {' | '.join(row)} |" for row in self.cells),
            "",
            *(f"- {sentence}" for sentence in self.verdicts),
            "",
            *self.remarks,
        ]
        return "\n".join(lines).rstrip() + "\n"

    def table(self) -> Table:
        drawn = Table(title=f"{self.title}, one thread")
        for heading, numeric in zip(self.headings, self._numeric(), strict=True):
            drawn.add_column(heading, justify="right" if numeric else "left")
        for row in self.cells:
            drawn.add_row(*row)
        return drawn

    def _numeric(self) -> list[bool]:
        return [
            all(cell == "" or cell[0] in "-0123456789" for cell in column) for column in zip(*self.cells, strict=True)
        ]


def run(name: str, about: str | None, rounds: int, measure: Callable[[int], Result], words: list[str] | None) -> int:
    """The command line of a benchmark: --rounds, and --out DIR for DIR/name.json and DIR/name.md."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"write {name}.json and {name}.md there")
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=f"rounds of timing (default {rounds})")
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error(f"--rounds={options.rounds}: needed is a number >= 1")
    files = [] if options.out is None else [options.out / f"{name}.{kind}" for kind in ("json", "md")]
    for path in files:
        require_writable(path, "--out")
    torch.set_num_threads(1)
    result = measure(options.rounds)
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print(result.table())
    for sentence in result.verdicts:
        console.print(sentence, highlight=False)
    data = {"machine": machine(), "targets": list(result.verdicts), "rows": list(result.rows)}
    command = f"python benchmarks/{name}.py --out benchmarks/results"
    for path, text in zip(files, (json.dumps(data, indent=2) + "\n", result.markdown(command)), strict=False):
        write_atomically(path, text)
    return 0
