"""python benchmarks/mutation.py: which small faults in the formula modules the tests let through.

Before it: `mutmut run`, which plants the faults (mutants) and keeps what became of each in mutants/.  This reads that
folder and docs/results/mutation_survivors.toml, where each mutant that survives has its reason, and prints the table.
It ends with 1 if less than 95% are caught, by the tests or by mypy, if a survivor has no reason or a reason no
survivor, or if the run is incomplete.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

from benchmarks.measuring import machine_in_words
from verify.files import require_writable, write_atomically

NEEDED = 0.95
REASONS = Path("docs/results/mutation_survivors.toml")
KILLED = ("killed", "timeout", "segfault")
REJECTED = "caught by type check"
UNFINISHED = ("not checked", "check was interrupted by user")
FIELDS = ("module", "function", "was", "became")


@dataclass(frozen=True)
class Mutant:
    """A change of one function of a module: the lines that it took out, and those that it put there."""

    module: str
    function: str
    was: str
    became: str

    def toml(self) -> str:
        """The entry of the file of reasons, but for the reason."""
        return "\n".join(["[[survivor]]", *(f"{name} = '''{getattr(self, name)}'''" for name in FIELDS), 'reason = ""'])


@dataclass(frozen=True)
class Module:
    """What became of the mutants of one module, by mutmut's name of it, and those that survived."""

    path: str
    outcomes: Sequence[str]
    survivors: Sequence[Mutant]

    def count(self, *outcomes: str) -> int:
        return sum(outcome in outcomes for outcome in self.outcomes)

    @property
    def caught(self) -> int:
        return self.count(*KILLED, REJECTED)


def mutant(path: Path, key: str) -> Mutant:
    """Read back from mutmut's diff of it, whose first two lines name the file."""
    function, owner = orig_function_and_class_names_from_key(key)
    lines = get_diff_for_mutant(key, path=path).splitlines()[2:]
    was, became = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Mutant(str(path), f"{owner}.{function}" if owner else function, was, became)


def modules() -> Iterator[Module]:
    """Of the modules that [tool.mutmut] of pyproject.toml names, in the folder where this runs, those with mutants."""
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        outcomes = {key: status_by_exit_code[code] for key, code in data.exit_code_by_key.items()}
        passed = [key for key, outcome in outcomes.items() if outcome not in (*KILLED, REJECTED, *UNFINISHED)]
        if outcomes:
            yield Module(str(path), tuple(outcomes.values()), tuple(mutant(path, key) for key in passed))


def read_reasons(path: Path) -> dict[Mutant, str]:
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", [])
    return {Mutant(*(entry[name] for name in FIELDS)): entry["reason"] for entry in entries}


def complaints(found: Sequence[Module], reasons: dict[Mutant, str]) -> Iterator[str]:
    """Why the run does not pass, one sentence each."""
    survivors = {survivor for module in found for survivor in module.survivors}
    if unfinished := sum(module.count(*UNFINISHED) for module in found):
        yield f"{unfinished} mutants were not tried: `mutmut run` goes on where it was"
    caught, planted = sum(module.caught for module in found), sum(len(module.outcomes) for module in found)
    if caught < NEEDED * planted:
        yield f"{caught} of {planted} mutants are caught: needed are {NEEDED:.0%}"
    for survivor in sorted(survivors - {each for each, reason in reasons.items() if reason}, key=Mutant.toml):
        yield f"a survivor without a reason:\n{survivor.toml()}"
    for gone in sorted(reasons.keys() - survivors, key=Mutant.toml):
        yield f"a reason without a survivor:\n{gone.toml()}"


def row(name: str, found: Sequence[Module]) -> str:
    rejected, killed = (sum(module.count(*outcomes) for module in found) for outcomes in ([REJECTED], KILLED))
    planted, survived = (
        sum(numbers) for numbers in zip(*((len(m.outcomes), len(m.survivors)) for m in found), strict=True)
    )
    return f"| {name} | {planted} | {rejected} | {killed} | {survived} | {(rejected + killed) / planted:.1%} |"


def read_remark(path: Path) -> list[str]:
    """What the file says of the run as a whole, in lines."""
    return tomllib.loads(path.read_text(encoding="utf-8")).get("remark", "").splitlines()


def markdown(found: Sequence[Module], reasons: dict[Mutant, str], remark: Sequence[str] = ()) -> str:
    late, killed, rejected = (sum(m.count(*kinds) for m in found) for kinds in (["timeout"], KILLED, [REJECTED]))
    accepted = sum(len(module.outcomes) for module in found) - rejected
    lines = [
        "# Mutants of the formula modules",
        "",
        f"`mutmut run`, then `python benchmarks/mutation.py --out docs/results/mutation.md`, on {machine_in_words()}, "
        f"mutmut {version('mutmut')}.",
        "",
        "A mutant is a small fault: a sign, a comparison, a number, an argument left out. `[tool.mutmut]` of",
        "pyproject.toml says which modules have them and which tests are tried on them. The text of errors, warnings",
        "and tables is not mutated, nor are the checks of arguments, nor what mutmut passes over: decorated functions,",
        "properties among them, and what is outside of functions. Mutants that mypy rejects are caught before any test",
        f"runs; of the others the tests kill {killed / max(accepted, 1):.1%}, {late} by running past their time.",
        *(["", *remark] if remark else []),
        "",
        "| module | mutants | rejected by mypy | killed by tests | survived | caught |",
        "|---|---:|---:|---:|---:|---:|",
        *(row(f"`{module.path}`", [module]) for module in found),
        row("all", found),
        "",
        "## Those that survived, and why",
    ]
    for module in found:
        if module.survivors:
            lines += ["", f"`{module.path}`", ""]
            lines += sorted({survived_in_words(survivor, reasons) for survivor in module.survivors})
    return "\n".join(lines) + "\n"


def survived_in_words(survivor: Mutant, reasons: dict[Mutant, str]) -> str:
    change = f"`{survivor.was}` became `{survivor.became}`" if survivor.became else f"`{survivor.was}` was left out"
    return f"- {survivor.function}: {change}. {reasons.get(survivor) or 'No reason is given.'}"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reasons", type=Path, default=REASONS, metavar="FILE", help=f"default {REASONS}")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write what is printed to this file too")
    options = parser.parse_args(words)
    if options.out is not None:
        require_writable(options.out, "--out")
    if not options.reasons.is_file():
        parser.error(f"--reasons={options.reasons}: there is no such file")
    if not (found := tuple(modules())):
        parser.error("there are no mutants here: needed is a folder in which `mutmut run` has been")
    reasons = read_reasons(options.reasons)
    text = markdown(found, reasons, read_remark(options.reasons))
    print(text, end="")
    if options.out is not None:
        write_atomically(options.out, text)
    found_wrong = list(complaints(found, reasons))
    print(*found_wrong, sep="\n\n", end="\n" * bool(found_wrong), file=sys.stderr)
    return int(bool(found_wrong))


if __name__ == "__main__":
    sys.exit(main())
