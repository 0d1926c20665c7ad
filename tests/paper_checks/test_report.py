"""The page, the LaTeX document and the letters: complete, escaped, self-contained, and the same from a file."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pylatexenc.latexwalker import LatexWalker

from paper_checks import report, views
from paper_checks.__main__ import main
from paper_checks.outputs import PAPERS
from paper_checks.report.relations import used_by, weak_grounds
from tests.paper_checks.conftest import HOSTILE

VOID = {"meta", "link", "input"}
BOTH = ["--only", "park2022:conjugacy", "park2022:appA-R3", "--jobs", "1"]


class Page(HTMLParser):
    """The elements of a page; an error where they are not nested as they should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def values(self, attribute: str) -> list[str | None]:
        return [found[attribute] for _, found in self.elements if attribute in found]


@pytest.fixture(scope="module")
def page(ledger: dict[str, Any]) -> str:
    return report.as_html(ledger)


def test_the_page_shows_every_claim_once_and_its_links_lead_somewhere(page: str, ledger: dict[str, Any]) -> None:
    read, names = Page(page), [row["id"] for row in ledger["claims"]]
    ids = Counter(read.values("id"))
    assert all(count == 1 for count in ids.values())
    assert set(names) <= set(ids)
    assert Counter(read.values("data-claim")) == dict.fromkeys(names, 2)
    links = {str(target) for tag, found in read.elements if tag == "a" and (target := found["href"])}
    assert {target.removeprefix("#") for target in links} <= set(ids)


def test_the_page_asks_for_nothing_and_runs_nothing_but_its_own_script(page: str) -> None:
    read = Page(page)
    assert not [found for found in read.values("src") if found]
    assert {str(found) for found in read.values("href") if not str(found).startswith("#")} == {"data:,"}
    assert set(re.findall(r"https?://[^\"'<\s]+", page)) == {"http://www.w3.org/1998/Math/MathML"}
    policy = next(found["content"] for _, found in read.elements if "http-equiv" in found)
    assert policy is not None and "default-src 'none'" in policy and "unsafe" not in policy
    assert [tag for tag, _ in read.elements].count("script") == 1
    assert not any(name.startswith("on") or name == "style" for _, found in read.elements for name in found)


def test_what_the_page_says_of_a_claim(page: str, ledger: dict[str, Any]) -> None:
    start = page.index('id="park2022:thm1[cutmix]"')
    text = page[start : page.index("</details>", start)]
    assert (
        "<math" in text and "(CutMix)" in text and "Correction, which holds" in text and "caught by the check" in text
    )
    assert 'href="#park2022:eq13-14[cutmix]"' in text and "not hold as printed" in text
    assert "paper_checks/park2022/theorem1.py" in text and "found something else" in page
    assert f"{len(ledger['claims'])} statements" in page


def test_a_counterexample_is_shown_with_its_data(ledger: dict[str, Any]) -> None:
    data = copy.deepcopy(ledger)
    row = next(r for r in data["claims"] if r["id"] == "zhang2021:eq9")
    row["counterexample"] = {
        "claim": row["id"],
        "inequality": "left >= right",
        "data": {"theta": [["1/2"], ["-3"]]},
        "where": {"f": "dot(theta, x)"},
        "hypotheses": ["f > 0"],
        "left": "f - 1",
        "right": "f",
    }
    for text in (report.as_html(data), report.as_latex(data)):
        assert "[[1/2], [-3]]" in text and "dot(theta, x)" in text and "f - 1" in text


def test_relations() -> None:
    rows = {
        "a:1": {"rests_on": ["a:2", "b:away"], "verdict": "holds"},
        "a:2": {"rests_on": ["a:3"], "verdict": "depends"},
        "a:3": {"rests_on": [], "verdict": "ill-posed"},
    }
    assert used_by(rows) == {"a:1": [], "a:2": ["a:1"], "a:3": ["a:2"]}
    assert [weak_grounds(name, rows) for name in rows] == [["a:3"], ["a:3"], []]


def documents(ledger: dict[str, Any]) -> dict[str, str]:
    return {"ledger": report.as_latex(ledger)} | {paper: report.errata_latex(ledger, paper) for paper in PAPERS}


def test_latex_is_balanced_and_escaped(ledger: dict[str, Any]) -> None:
    part = views.restricted(ledger, lambda name: "thm" in name or name.startswith("mixupe2023:"))
    for text in documents(part).values():
        body = text[text.index("\\begin{document}") :]
        LatexWalker(body, tolerant_parsing=False).get_latex_nodes()
        assert body.count("\\end{document}") == 1
        assert not re.search(r"(?<!\\)[%#]", body)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("name", ["ledger", *PAPERS])
def test_latex_compiles(name: str, ledger: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "made.tex").write_text(documents(ledger)[name], encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "made.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("letter", [report.errata_markdown, report.errata_latex])
def test_a_letter_is_about_what_does_not_hold(letter: Callable[..., str], ledger: dict[str, Any]) -> None:
    text = letter(ledger, "park2022")
    headings = [line for line in text.splitlines() if line.startswith(("### ", "\\subsection"))]
    assert any("Theorem 1: cutmix, hmix, gmix, stochastic" in line for line in headings), "one entry for one reason"
    wrong = [row for row in ledger["claims"] if row["id"].startswith("park2022:") and row["verdict"] != "holds"]
    named = {line.split(": ")[0].split(". ", 1)[1].rstrip("}").lower() for line in headings}
    assert named == {row["where"].lower() for row in wrong}
    assert "Chanwoo Park" in text and "What holds" in text and "zhang2021" not in text.replace("Zhang et al.", "")


def test_hostile_text_stays_text(page: str, ledger: dict[str, Any]) -> None:
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    letter = report.errata_markdown(ledger, "carratino2022")
    assert "<script>" not in letter.replace("\\<script\\>", "") and HOSTILE not in letter


def test_an_earlier_run_gives_the_same_pages(tmp_path: Path) -> None:
    path, kinds = tmp_path / "ledger.json", ("html", "latex", "markdown", "junit")
    now, then = ({kind: tmp_path / f"{when}.{kind}" for kind in kinds} for when in ("now", "then"))
    assert main([*BOTH, "--json", str(path), *(word for k, f in now.items() for word in (f"--{k}", str(f)))]) == 0
    assert main(["--from", str(path), *(word for k, f in then.items() for word in (f"--{k}", str(f)))]) == 0
    assert all(now[kind].read_text() == then[kind].read_text() for kind in kinds)
    one = tmp_path / "one.json"
    assert main(["--from", str(path), "--only", "*:conjugacy", "--json", str(one)]) == 0
    assert [row["id"] for row in views.read(one)["claims"]] == ["park2022:conjugacy"]


def test_a_run_with_problems_is_one_again(tmp_path: Path, ledger: dict[str, Any]) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(views.as_json(ledger))
    assert main(["--from", str(path)]) == 1
    assert main(["--from", str(path), "--only", "zhang2021:*"]) == 0


def test_errata_go_to_two_files_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ledger: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ledger.json").write_text(views.as_json({**ledger, "problems": {}}))
    assert main(["--from", "ledger.json", "--errata", "mixupe2023"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "errata-mixupe2023.md",
        "errata-mixupe2023.tex",
        "ledger.json",
    ]
    assert "written: errata-mixupe2023.md, errata-mixupe2023.tex\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--errata", "park2021"], "--errata park2021: needed is one of park2022"),
        (["--errata", "park2022", "letter.doc"], "a file name that ends in .md or .tex"),
        (["--html", "missing-folder/p.html"], "--html=missing-folder/p.html"),
        (["--from", "missing.json"], "--from=missing.json cannot be read"),
        (["--from", __file__], "cannot be read"),
        (["--from", "old.json"], "is no ledger of this version"),
        (["--from", "new.json", "--only", "nothing*"], "no claim in new.json matches 'nothing*'"),
        (["--from", "new.json", "--record"], "--record cannot go with --from"),
        (["--from", "new.json", "--seed", "3"], "--seed cannot go with --from"),
    ],
)
def test_bad_arguments(
    argv: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ledger: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("old.json").write_text('{"schema": 1, "claims": []}')
    Path("new.json").write_text(views.as_json(ledger))
    assert main(argv) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.json", "old.json"]


def test_a_missing_package_is_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = report.importlib.util.find_spec
    monkeypatch.setattr(report.importlib.util, "find_spec", lambda n: None if n == "latex2mathml" else found(n))
    assert main([*BOTH, "--html", str(tmp_path / "p.html")]) == 2
    assert "--html needs the package latex2mathml" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
