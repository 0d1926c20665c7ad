"""`--resume FILE`: the finished parts of a run's sums, kept so that the same run can go on from them.

The file holds what identifies the run: its command line, versions, data, and what its network gives for the first
samples.  It is replaced whole after every round of parts, by the first process alone.
"""

from __future__ import annotations

import hashlib
import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from msda_theory._model import outputs
from msda_theory._sharding import PartialSum, Team, sharing, team
from verify.files import write_atomically
from verify.models import Problem
from verify.ranks import share_network
from verify.tolerances import rounding

#: samples whose outputs tell networks apart; operations that an output is taken to pass, each rounding once
FIRST, DEPTH = 8, 1000
#: settings that do not change what is computed
ELSEWHERE = ("json", "resume")
Identity = dict[str, Any]


@contextmanager
def resumable(settings: Namespace, given: Problem, versions: dict[str, str]) -> Iterator[None]:
    """Inside, sums are taken up from `--resume` and kept there; at its end all processes of the run have come through.

    Raises ValueError where the file, or another process, belongs to another run.
    """
    together, path = team(), settings.resume
    if together is None and path is None:
        yield
        return
    together = together or Team()
    share_network(given.model)
    run = _identity(settings, given, versions)
    for rank, other in enumerate(together.gather(run)):
        _require_same(other, run, f"process {rank} works on", given)
    first = path is not None and together.rank == 0
    sums = together.gather(_read(path, run, given) if first else [])[0]
    with sharing(replace(together, sums=sums, keep=partial(_write, path, run) if first else together.keep)):
        yield
    together.gather(None)


def _identity(settings: Namespace, given: Problem, versions: dict[str, str]) -> Identity:
    data = hashlib.sha256()
    for values in (given.x, given.y):
        data.update(str((values.dtype, values.shape)).encode())
        data.update(values.detach().cpu().contiguous().numpy().tobytes())
    with torch.no_grad():
        first = outputs(given.model, given.x[:FIRST])
    return {
        "settings": {key: str(value) for key, value in vars(settings).items() if key not in ELSEWHERE},
        "versions": versions,
        "data": data.hexdigest(),
        "outputs": first.double().tolist(),
    }


def _require_same(found: Identity, run: Identity, who: str, given: Problem) -> None:
    for part in ("settings", "versions"):
        for key in sorted(found[part].keys() | run[part].keys()):
            theirs, ours = (values[part].get(key, "absent") for values in (found, run))
            if theirs != ours:
                raise ValueError(f"{who} another run: there {key} is {theirs}, here {ours}")
    if found["data"] != run["data"]:
        raise ValueError(f"{who} another run: its data are not the same")
    theirs, ours = (torch.tensor(values["outputs"], dtype=torch.float64) for values in (found, run))
    allowed = rounding(given.x.dtype, float(ours.abs().max()), DEPTH)
    if theirs.shape != ours.shape or not bool(((theirs - ours).abs() <= allowed).all()):
        raise ValueError(f"{who} another run: its network gives other outputs for the same data")


def _read(path: Path, run: Identity, given: Problem) -> list[PartialSum]:
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, sums = {key: content["run"][key] for key in run}, [_sum(**one) for one in content["sums"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"--resume={path} cannot be read: {error}; needed is a file that --resume wrote") from error
    _require_same(found, run, f"--resume={path} holds the sums of", given)
    return sums


def _sum(what: str, parts: int, rows: dict[str, list[float]]) -> PartialSum:
    return PartialSum(what, parts, {int(part): row for part, row in rows.items()})


def _write(path: Path, run: Identity, sums: list[PartialSum]) -> None:
    write_atomically(path, json.dumps({"run": run, "sums": [asdict(one) for one in sums]}) + "\n")
