"""Re-checks every counterexample beside this file in ball arithmetic (python-flint), without msda_theory.

    python paper_checks/counterexamples/recheck.py

A file is JSON: the `claim`, the printed `inequality`, `data` (rationals as strings, in lists of any depth), `where`
(names defined one after the other), `hypotheses` (each must be certain), and the `left` and `right` side, of which
the paper says left >= right.  All are Python expressions over balls: exp, log, sqrt, abs, dot, norm, least, greatest,
and Python's own len, range, zip, all, sum.  The file refutes the claim where left < right for certain.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any

from flint import arb, ctx, fmpq

HERE = Path(__file__).parent
BITS = 256


def number(text: str) -> arb:
    numerator, _, denominator = text.partition("/")
    return arb(fmpq(int(numerator), int(denominator or 1)))


def balls(data: Any) -> Any:
    return [balls(part) for part in data] if isinstance(data, list) else number(data)


def dot(v: Sequence[arb], w: Sequence[arb]) -> arb:
    return sum((a * b for a, b in zip(v, w, strict=True)), arb(0))


def norm(v: Sequence[arb]) -> arb:
    return dot(v, v).sqrt()


def least(values: Sequence[arb]) -> arb:
    return reduce(arb.min, values)


def greatest(values: Sequence[arb]) -> arb:
    return reduce(arb.max, values)


NAMES: dict[str, Any] = {
    "__builtins__": {"abs": abs, "all": all, "len": len, "range": range, "sum": sum, "zip": zip},
    "exp": arb.exp,
    "log": arb.log,
    "sqrt": lambda v: arb(v).sqrt(),
    "number": number,
    **{function.__name__: function for function in (dot, norm, least, greatest)},
}


def sides(example: dict[str, Any]) -> tuple[arb, arb]:
    """Both sides of the printed inequality; ValueError where a hypothesis is not certain."""
    before, ctx.prec = ctx.prec, BITS
    try:
        names = NAMES | {name: balls(value) for name, value in example["data"].items()}
        for name, expression in example["where"].items():
            names[name] = eval(expression, names)
        for hypothesis in example["hypotheses"]:
            if eval(hypothesis, names) is not True:
                raise ValueError(f"{example['claim']}: the hypothesis {hypothesis} is not certain")
        return arb(eval(example["left"], names)), arb(eval(example["right"], names))
    finally:
        ctx.prec = before


def refutes(example: dict[str, Any]) -> bool:
    left, right = sides(example)
    return bool(left < right)


def main() -> int:
    failed = 0
    for path in sorted(HERE.glob("*.json")):
        example = json.loads(path.read_text(encoding="utf-8"))
        left, right = sides(example)
        certain = bool(left < right)
        failed += not certain
        word = "refuted" if certain else "NOT REFUTED"
        print(f"{example['claim']:28} {word}: {left.str(6)} < {right.str(6)}, where {example['inequality']} is printed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
