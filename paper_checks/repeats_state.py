"""What `paper_checks.repeats` keeps: the runs that are done, claim by claim, as JSON."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from paper_checks import registry
from paper_checks.views import versions
from verify.files import write_atomically


@dataclass(frozen=True)
class Run:
    """One run; `alarm` says what went wrong, and is empty where nothing did."""

    claim: str
    index: int
    seed: int
    faulty: bool
    asks: bool
    seconds: float
    alarm: str


@dataclass
class Done:
    """The runs of one check: whether it asks for its seed, the indices of the seeds that it was run at, honestly and
    with its fault, the processor's seconds of the honest runs, and the alarms.  `code` is a digest of its source."""

    code: str
    asks: bool = False
    seconds: float = 0.0
    honest: list[int] = field(default_factory=list)
    faulty: list[int] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds_a_run(self) -> float:
        return self.seconds / max(len(self.honest), 1)

    def false_alarms(self) -> set[int]:
        """Indices of the seeds at which the honest run gave an alarm."""
        return {alarm["index"] for alarm in self.alarms if not alarm["faulty"]}


@dataclass
class Repeats:
    """All runs that are done, and the versions that they were made with."""

    versions: dict[str, str]
    claims: dict[str, Done] = field(default_factory=dict)

    def of(self, claim: str) -> Done:
        return self.claims.setdefault(claim, Done(_code(claim)))

    def add(self, run: Run) -> None:
        done = self.of(run.claim)
        if run.faulty:
            done.faulty = sorted({*done.faulty, run.index})
        else:
            done.honest = sorted({*done.honest, run.index})
            done.seconds += run.seconds
            done.asks = run.asks
        if run.alarm:
            done.alarms.append({"index": run.index, "seed": run.seed, "faulty": run.faulty, "text": run.alarm})


def read(path: Path) -> Repeats:
    """What is done already, or nothing; without the runs of checks that have changed since.

    Raises ValueError where the file is none of ours, or its runs were made with other versions of the libraries.
    """
    repeats = Repeats(versions())
    if not path.exists():
        return repeats
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, claims = content["versions"], {name: Done(**entry) for name, entry in content["claims"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--out={path} cannot be read: {error}; needed is a file that --out wrote, or none") from error
    if found != repeats.versions:
        raise ValueError(
            f"--out={path} has runs made with {found}, here are {repeats.versions}: needed is another file"
        )
    known = registry.claims()
    repeats.claims = {name: done for name, done in claims.items() if name in known and done.code == _code(name)}
    return repeats


def write(path: Path, repeats: Repeats) -> None:
    """One claim a line."""
    lines = [f" {json.dumps(name)}: {json.dumps(asdict(done))}" for name, done in repeats.claims.items()]
    body = ",\n".join(lines)
    write_atomically(path, f'{{"versions": {json.dumps(repeats.versions)},\n "claims": {{\n{body}\n}}}}\n')


@cache
def _code(claim: str) -> str:
    """A digest of the modules of `paper_checks` that the claim's check uses."""
    digest = hashlib.sha256()
    for module in sorted(_used(registry.claims()[claim].module, frozenset())):
        digest.update(_source(module).encode())
    return digest.hexdigest()[:16]


def _used(module: str, seen: frozenset[str]) -> frozenset[str]:
    """The module and those of `paper_checks` that it imports, directly or not, but for the table of claims."""
    seen |= {module}
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "paper_checks":
            names = {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
            for name in (names & sys.modules.keys()) - seen - {"paper_checks", registry.__name__}:
                seen = _used(name, seen)
    return seen


@cache
def _source(module: str) -> str:
    return Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
