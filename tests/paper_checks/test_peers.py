"""Claims about other libraries: what happens where the library is not installed."""

from __future__ import annotations

import importlib.util

import pytest

from paper_checks import registry
from paper_checks.__main__ import main
from paper_checks.registry import UnknownClaimError, claims, missing_packages, printed_claims, select

PEERS = [name for name in printed_claims() if name.startswith("peers:")]


@pytest.fixture
def without_kornia(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None if name == "kornia" else found(name))


def test_every_printed_claim_has_a_check_where_its_library_is_installed() -> None:
    pytest.importorskip("kornia")
    assert PEERS and not missing_packages()
    assert set(PEERS) <= set(claims())


def test_the_ids_name_the_package() -> None:
    packages = registry.PEERS.values()
    assert all(any(name.startswith(f"peers:{package}-") for package in packages) for name in PEERS)


@pytest.mark.usefixtures("without_kornia")
def test_without_the_library_its_claims_are_left_out_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert missing_packages() == {"kornia": PEERS}
    assert not set(PEERS) & {c.id for c in select([])}
    assert main(["--list"]) == 0
    assert f"kornia is not installed: {len(PEERS)} claims about it were left out" in capsys.readouterr().out


@pytest.mark.usefixtures("without_kornia")
@pytest.mark.parametrize("pattern", [PEERS[0], "peers:*"])
def test_without_the_library_asking_by_name_is_an_error(pattern: str) -> None:
    with pytest.raises(UnknownClaimError, match="is about kornia, which is not installed"):
        select([pattern])
