"""Symbols written in plain text, as in reasons and corrections (`E_D~[a_jk]`, `Sigma_xx^(i)`), set as formulas.

A symbol is a Greek name, or a letter with a prime, a tilde, a bar, a subscript or a superscript.  All else stays.
"""

from __future__ import annotations

import re

from paper_checks.report.markup import INLINE, TEXT, Part

_GREEK = re.findall(
    r"\w+",
    "alpha beta delta eta gamma kappa lambda mu nabla phi pi psi rho sigma tau theta varphi xi "
    "Delta Gamma Lambda Phi Sigma Theta",
)
_NAMES = {name: f"\\{name}" for name in _GREEK} | {"eps": r"\varepsilon"}
#: also the name of a law and an everyday word: no symbols by themselves
_WORDS = ("gamma", "delta")
_OPERATORS = {name: f"\\{name}" for name in ("sum", "min", "max", "sup", "log")} | {"tr": r"\operatorname{tr}"}

_INSIDE = r"[A-Za-z0-9~,=+*/. -]+"
_SUB = rf"_(?:[A-Za-z0-9]{{1,2}}~?(?![A-Za-z0-9_])|(?:min|max|mix|adv|cut|inf|Var)(?![A-Za-z0-9_])|\{{{_INSIDE}\}})"
_SUP = rf"\^(?:[+-]?\d+(?![\d.])|[A-Za-z](?![A-Za-z0-9])|[*+]|\({_INSIDE}\))"
_BASE = rf"(?P<r>R[1-4](?![\d.]))|(?P<name>{'|'.join((*_NAMES, *_OPERATORS))})|(?P<letter>[A-Za-z])"
_ACCENTS = r"(?P<bar>-?bar)?(?P<prime>(?:'{1,2}(?(letter)|(?=[(_^])))?)(?P<tilde>~?)(?![A-Za-z0-9~])"
_SYMBOL = re.compile(
    rf"(?<![A-Za-z0-9_.'\\])(?:{_BASE}){_ACCENTS}(?P<sub>(?:{_SUB})?)(?!_)(?P<sup>(?:{_SUP})?)"
    rf"|(?<=[)\]|])(?P<power>{_SUP})",
    re.ASCII,
)
_SIGNS = {"<=": "≤", ">=": "≥", "->": "→", "!=": "≠", " - ": " − "}
#: a hyphen that stands next to a symbol, and not in a word
_MINUS = re.compile(r"(?<=[\w)\]])-$|^-(?![A-Za-z]{2})|(?<=[(=\s])-$")


def prose(text: str) -> list[Part]:
    """The text in parts, its symbols as LaTeX and its signs as such."""
    found, start = [], 0
    for match in _SYMBOL.finditer(text):
        if latex := _power(match) or _symbol(match):
            found += [_text(text[start : match.start()]), Part(INLINE, latex)]
            start = match.end()
    return [part for part in (*found, _text(text[start:])) if part.text]


def sentence(text: str) -> list[Part]:
    """The text with a capital at its start, where it starts with a word, and a full stop."""
    word = re.match(r"a |[a-z]{2,}(?=[\s,;:-])", text)
    if word and word[0] not in (*_NAMES, *_OPERATORS):
        text = text[0].upper() + text[1:]
    return prose(text if text.endswith((".", "!", "?")) else f"{text}.")


def _text(text: str) -> Part:
    for plain, sign in _SIGNS.items():
        text = text.replace(plain, sign)
    return Part(TEXT, _MINUS.sub("−", text))


def _power(match: re.Match[str]) -> str:
    return f"{{}}^{{{_script(match['power'][1:])}}}" if match["power"] else ""


def _symbol(match: re.Match[str]) -> str:
    """LaTeX of a symbol, or nothing where the text is a word or a letter by itself."""
    bare = not any(match[mark] for mark in ("bar", "prime", "tilde", "sub", "sup"))
    if bare and (match["letter"] or match["name"] in (*_WORDS, *_OPERATORS)):
        return ""
    base = _base(match)
    for mark, accent in (("bar", "bar"), ("tilde", "tilde")):
        base = rf"\{accent}{{{base}}}" if match[mark] else base
    above = r"\prime " * len(match["prime"]) + _script(match["sup"][1:])
    return base + _below(match) + (f"^{{{above.strip()}}}" if above else "")


def _base(match: re.Match[str]) -> str:
    if match["r"]:
        return "R"
    return match["letter"] or {**_NAMES, **_OPERATORS}[match["name"]]


def _below(match: re.Match[str]) -> str:
    number, index = (match["r"] or "")[1:], _script(match["sub"][1:])
    return f"_{{{','.join(filter(None, (number, index)))}}}" if number or index else ""


def _script(text: str) -> str:
    """What stands below or above: `lambda~D~` is lambda ~ D, D with a tilde; `(-1/2)` loses its brackets."""
    text = text.removeprefix("{").removesuffix("}")
    if text in ("T", "inf"):
        return {"T": r"\top", "inf": r"\infty"}[text]
    if re.fullmatch(r"[A-Za-z]{3}", text):
        return rf"\text{{{text}}}"
    if text.startswith("(") and len(text) > len("(i)"):
        text = text[1:-1]
    text = re.sub(r"([A-Za-z])~(?![A-Za-z])", r"\\tilde{\1}", text)
    text = text.replace("~", r"\sim ")
    return re.sub(rf"\b({'|'.join(_NAMES)})\b", lambda m: _NAMES[m[0]] + " ", text)
