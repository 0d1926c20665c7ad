"""The picture of the table."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

from paper_checks import views


def test_the_picture_is_xml_and_names_every_claim_once(ledger: dict[str, Any]) -> None:
    picture = ElementTree.fromstring(views.as_svg(ledger))
    texts = ["".join(t.itertext()).replace("\xa0", " ") for t in picture.iter("{http://www.w3.org/2000/svg}text")]
    words = [word for text in texts for word in text.replace("│", " ").split()]
    for row in ledger["claims"]:
        assert words.count(row["id"]) == 1
    assert words.count("caught") == len(ledger["claims"])
