"""The counterexample files and the script that re-checks them without the library."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

from paper_checks.counterexamples import HERE, load
from paper_checks.counterexamples.recheck import refutes, sides
from paper_checks.findings import HOLDS

FILES = sorted(HERE.glob("*.json"))
CLAIMS = [json.loads(path.read_text())["claim"] for path in FILES]
FIELDS = {"claim", "inequality", "data", "where", "hypotheses", "left", "right"}
EXAMPLE = {
    "claim": "cauchy, reversed",
    "inequality": "v.w >= |v| |w|",
    "data": {"v": ["1/2", "0"], "w": ["1", "1/3"]},
    "where": {"product": "dot(v, w)"},
    "hypotheses": ["product > 0"],
    "left": "product",
    "right": "norm(v) * norm(w)",
}


def test_script_runs_without_the_library(tmp_path):
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    script = HERE / "recheck.py"
    done = subprocess.run([sys.executable, script], cwd=tmp_path, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("refuted:") == len(FILES)
    assert "msda_theory" not in [line.split()[1] for line in script.read_text().splitlines() if line.startswith("from")]


@pytest.mark.parametrize("claim", CLAIMS)
def test_each_file_is_found_by_its_claim_and_refutes_it(claim):
    example = load(claim)
    assert example["claim"] == claim and set(example) == FIELDS
    assert refutes(example)
    assert not refutes(example | {"left": example["right"], "right": example["left"]})


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_claim_with_a_counterexample_holds(claim):
    verdicts = tomllib.loads((HERE.parent / "verdicts.toml").read_text())
    assert verdicts[claim]["verdict"] != HOLDS


def test_an_inequality_that_is_not_certain_is_not_refuted():
    assert refutes(EXAMPLE)
    assert not refutes(EXAMPLE | {"data": {"v": ["1/2", "0"], "w": ["1", "0"]}})


def test_a_hypothesis_that_is_not_met_is_an_error():
    with pytest.raises(ValueError, match="hypothesis product > 1"):
        sides(EXAMPLE | {"hypotheses": ["product > 1"]})
