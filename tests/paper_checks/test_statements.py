"""The statements in LaTeX and what rests on what: complete, known to the tables, and readable by every renderer."""

from __future__ import annotations

from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pylatexenc.latexwalker import LatexWalker

from paper_checks.dependencies import dependencies, resolve
from paper_checks.registry import printed_claims
from paper_checks.report import markup
from paper_checks.report.markup import INLINE, TEXT, Part
from paper_checks.report.prose import prose, sentence
from paper_checks.statements import family, papers, statement, tables

CLAIMS = tuple(printed_claims())
FAMILIES = {family(claim)[0] for claim in CLAIMS}


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_has_a_statement_that_every_renderer_reads(name: str) -> None:
    said = statement(name)
    for text in (said.latex, *([said.case] if said.case else [])):
        pieces = markup.parts(text)
        assert not any("$" in p.text or "\\" in p.text for p in pieces if p.kind == TEXT), "a dollar sign is missing"
        assert "<math" in markup.html(pieces) or not any(p.kind in (markup.INLINE, markup.DISPLAY) for p in pieces)
        assert markup.latex(pieces) and markup.markdown(pieces)


def test_no_statement_is_about_an_unknown_claim() -> None:
    written = {f"{paper}:{name}" for paper, table in tables().items() if paper != "cases" for name in table}
    assert written == FAMILIES
    assert set(tables()["cases"]) == {case for claim in CLAIMS if (case := family(claim)[1])}
    assert set(papers()) == {claim.partition(":")[0] for claim in CLAIMS}


def test_a_command_without_mathml_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"no MathML for \\unheardof"):
        markup.mathml(r"x + \unheardof{y}")


def test_every_claim_rests_on_claims_of_the_tables_and_never_on_itself() -> None:
    graph = dependencies()
    assert set(graph) == set(CLAIMS)
    assert {used for names in graph.values() for used in names} <= set(CLAIMS)
    assert graph["park2022:thm3[mixup]"] == ("park2022:thm1[mixup]", "park2022:R1-universal", "park2022:fact1")
    assert "park2022:mean-mask[gmix]" in graph["park2022:R1-universal"]
    assert "park2022:mean-mask[gmix]" not in graph["park2022:thm1[stochastic]"]
    assert graph["park2022:reduces-to-zhang"] == ("park2022:thm1[mixup]", "zhang2021:lemma3.1")


def test_a_name_that_is_no_claim_and_a_circle_are_errors() -> None:
    known = ("a:one", "a:two[x]", "a:two[y]")
    assert resolve({"a:one": ["two"]}, known)["a:one"] == ("a:two[x]", "a:two[y]")
    for table in ({"a:one": ["three"]}, {"a:three": ["one"]}):
        with pytest.raises(ValueError, match="names 'a:three'"):
            resolve(table, known)
    with pytest.raises(CycleError):
        resolve({"a:one": ["two"], "a:two": ["one"]}, known)


@pytest.mark.parametrize(
    ("text", "formulas"),
    [
        ("E_D~[a_jk] and R1, R2_i", [r"E_{\tilde{D}}", "a_{jk}", "R_{1}", "R_{2,i}"]),
        ("thetabar^2 (1-lambda)^2 Sigma_xx^(i)", [r"\bar{\theta}^{2}", r"\lambda", "{}^{2}", r"\Sigma_{xx}^{(i)}"]),
        ("h'(f) - y f, h'' and x~_i", [r"h^{\prime}", r"h^{\prime \prime}", r"\tilde{x}_{i}"]),
        ("E_{lambda~D~} H^(-1/2)", [r"E_{\lambda \sim \tilde{D}}", "H^{-1/2}"]),
        ("tau'^2 and |mu_sigma|", [r"\tau^{\prime 2}"]),
        ("L~_mix, l_inf", [r"\tilde{L}_{\text{mix}}", r"l_{\infty}"]),
        ("sum_i v^T u", [r"\sum_{i}", r"v^{\top}"]),
        ("'relative area lambda' is read", [r"\lambda"]),
        # words, code, decimals and single letters stay
        ("a GLM (gamma, log), the sum of use_correct_lambda=True, lambda_val, B. 0.5 x y's", []),
    ],
)
def test_symbols_in_prose(text: str, formulas: list[str]) -> None:
    found = prose(text)
    assert [p.text for p in found if p.kind == INLINE] == formulas
    for formula in formulas:
        assert "<math" in markup.mathml(formula)


PIECES = ["lambda", "x", "R2", "h", "sum", "'", "~", "bar", "_", "^", "j", "jk", "2", "T", "(i)", "(-1/2)", "{a~D~}"]


@given(
    st.lists(st.sampled_from([*PIECES, "(", ")", "{", "}", "[", "|", "-", " ", "\\", "$", "%", "ä", "."])).map("".join)
)
def test_no_text_makes_a_formula_that_cannot_be_set(text: str) -> None:
    for part in prose(text):
        if part.kind == INLINE:
            assert "<math" in markup.mathml(part.text)
            LatexWalker(f"${part.text}$", tolerant_parsing=False).get_latex_nodes()
    assert markup.latex(prose(text)) is not None


def test_signs_and_sentences() -> None:
    assert prose("1-lambda <= 1/2 - x-rays") == [
        Part(TEXT, "1−"),
        Part(INLINE, r"\lambda"),
        Part(TEXT, " ≤ 1/2 − x-rays"),
    ]
    assert sentence("the same") == [Part(TEXT, "The same.")]
    assert sentence("lambda is one.")[0] == Part(INLINE, r"\lambda")
    assert sentence("a box") == [Part(TEXT, "A box.")]


@pytest.mark.parametrize("render", [markup.html, markup.latex, markup.markdown])
def test_text_is_escaped(render) -> None:
    assert "<b>" not in render([Part(TEXT, "<b> & 100% #1 $x$ a_b {c} \\d")])


def test_latex_has_a_name_for_every_character_or_a_number() -> None:
    assert markup.latex_text("100% λ ≥ “a_b”") == (
        r"100\% \ensuremath{\lambda} \ensuremath{\geq} {\textquotedblleft}a\_b{\textquotedblright}"
    )
    assert "U+1F600" in markup.latex_text("\U0001f600")
