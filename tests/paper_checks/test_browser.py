"""The page in a real browser, on a phone and on a desk: rendered, filtered, by keyboard, without script, on paper.

It needs Debian's chromium and chromium-driver, and selenium.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paper_checks import report

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium import webdriver
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="chromium and chromedriver are not installed (Debian: apt-get install chromium chromium-driver)",
)

PHONE, DESK = 390, 1280
CLAIM = "park2022:thm1[cutmix]"
#: WCAG 2.1, 1.4.3: text of any size
CONTRAST = 4.5
COLOURS = """
const clear = "rgba(0, 0, 0, 0)";
const behind = (e) => {
  const colour = getComputedStyle(e).backgroundColor;
  return colour === clear ? behind(e.parentElement) : colour;
};
const speaks = (e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
return [...document.querySelectorAll("body *")].filter(speaks)
  .map((e) => [`${e.tagName}.${e.className}`, getComputedStyle(e).color, behind(e)]);
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, ledger: dict[str, Any]) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(report.as_html(ledger), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("headless=new", "disable-gpu", "disable-dev-shm-usage", *(["no-sandbox"] * (os.geteuid() == 0))):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(shutil.which("chromedriver"))))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium: Any, address: str) -> Callable[..., Any]:
    def opened(width: int, fragment: str = "", script: bool = True, **media: str) -> Any:
        screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not script})
        features = [{"name": "prefers-color-scheme", "value": media.get("scheme", "light")}]
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media.get("kind", ""), "features": features})
        chromium.get("about:blank")
        chromium.get_log("browser"), chromium.get_log("performance")
        chromium.get(address + fragment)
        # on a busy machine get() has returned with the table parsed and the details not
        WebDriverWait(chromium, 60).until(
            lambda driver: (
                driver.execute_script("return [document.readyState, location.protocol]") == ["complete", "file:"]
            )
        )
        return chromium

    return opened


def shown(driver: Any) -> list[str]:
    """The claims whose row is shown; their details must be the same, asked in one script: filtering may come between
    two."""
    rows, details = driver.execute_script(
        "return [...arguments].map((selector) => [...document.querySelectorAll(selector)]"
        ".filter((e) => e.checkVisibility()).map((e) => e.dataset.claim))",
        "table.claims tbody tr",
        "details[data-claim]",
    )
    assert rows == details
    return list(rows)


def choose(driver: Any, name: str, value: str) -> None:
    field = driver.find_element("css selector", f"#filter [name={name}]")
    field.send_keys(value)


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_rendered_without_a_request_or_a_message(
    width: int, open_page: Callable[..., Any], ledger: dict[str, Any]
) -> None:
    driver = open_page(width)
    assert shown(driver) == [row["id"] for row in ledger["claims"]]
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    layout = driver.execute_script("return getComputedStyle(document.querySelector('table.claims tbody tr')).display")
    assert layout == ("block" if width == PHONE else "table-row")
    driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    sizes = driver.execute_script(
        "return [...document.querySelectorAll('math')]"
        ".map((m) => m.getBoundingClientRect()).map((r) => [r.width, r.height])"
    )
    assert len(sizes) > len(ledger["claims"]) and all(w > 0 and h > 0 for w, h in sizes)
    assert driver.execute_script("return document.querySelectorAll('merror').length") == 0
    assert driver.get_log("browser") == []
    assert len(driver.get_screenshot_as_png()) > 10_000
    assert requests(driver) == {driver.current_url}


def requests(driver: Any) -> set[str]:
    """What the page asked for, the empty icon aside."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    asked = (m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent")
    return {url for url in asked if url != "data:,"}


def test_a_request_that_a_script_tries_is_refused(open_page: Callable[..., Any]) -> None:
    """So that the log of requests above can fail, and the policy holds."""
    driver = open_page(DESK)
    tried = "const done = arguments[0]; fetch('http://127.0.0.1:9/').then(() => done('sent'), () => done('refused'))"
    assert driver.execute_async_script(tried) == "refused"
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_filters(width: int, open_page: Callable[..., Any], ledger: dict[str, Any]) -> None:
    driver, rows = open_page(width), ledger["claims"]
    choose(driver, "verdict", "fails")
    failing = [row["id"] for row in rows if row["verdict"] == "fails"]
    assert shown(driver) == failing
    count = driver.find_element("id", "count")
    assert count.text == f"{len(failing)} of {len(rows)} claims shown" and count.get_attribute("aria-live") == "polite"
    choose(driver, "paper", "Carratino")
    assert shown(driver) == [name for name in failing if name.startswith("carratino2022:")]
    assert not driver.find_element("id", "park2022").is_displayed()
    choose(driver, "kind", "enclosure")
    assert shown(driver) == ["carratino2022:r3-bound"]
    driver.find_element("css selector", "#filter button").click()
    choose(driver, "text", "THEOREM cutmix thm1")
    assert CLAIM in shown(driver) and len(shown(driver)) < 10
    choose(driver, "text", " no such words")
    assert shown(driver) == [] and count.text == f"0 of {len(rows)} claims shown"
    driver.find_element("css selector", "#filter button").click()
    WebDriverWait(driver, 30).until(lambda d: len(shown(d)) == len(rows))


def test_by_keyboard(open_page: Callable[..., Any]) -> None:
    driver = open_page(DESK)
    wait = WebDriverWait(driver, 30)

    def press(key: str) -> Any:
        ActionChains(driver).send_keys(key).perform()
        return driver.switch_to.active_element

    assert press(Keys.TAB).text == "Skip to the claims"
    press(Keys.ENTER)
    wait.until(lambda d: d.switch_to.active_element.get_attribute("id") == "claims")
    fields = [press(Keys.TAB).get_attribute("name") for _ in range(4)]
    assert fields == ["text", "paper", "verdict", "kind"]
    assert press(Keys.TAB).text == "Show all"
    link = press(Keys.TAB)
    assert driver.execute_script("return getComputedStyle(arguments[0]).outlineStyle", link) == "solid"
    name = link.get_attribute("hash").removeprefix("#")
    press(Keys.ENTER)
    body = driver.find_element("id", name)
    wait.until(lambda d: d.switch_to.active_element.tag_name == "summary" and body.is_displayed())
    assert name in driver.switch_to.active_element.text
    press(Keys.SPACE)
    wait.until(lambda d: not body.is_displayed())


def test_a_link_opens_a_claim_that_the_filter_hides(open_page: Callable[..., Any], ledger: dict[str, Any]) -> None:
    driver = open_page(DESK, f"#{CLAIM}")
    assert driver.find_element("id", CLAIM).is_displayed()
    choose(driver, "verdict", "holds")
    assert CLAIM not in shown(driver)
    driver.execute_script("location.hash = ''; location.hash = arguments[0]", CLAIM)
    WebDriverWait(driver, 30).until(lambda d: len(shown(d)) == len(ledger["claims"]))
    assert driver.find_element("id", CLAIM).is_displayed()


def test_without_script_all_is_there(open_page: Callable[..., Any], ledger: dict[str, Any]) -> None:
    driver = open_page(DESK, f"#{CLAIM}", script=False)
    assert not driver.find_element("id", "filter").is_displayed()
    assert len(shown(driver)) == len(ledger["claims"])
    assert driver.find_element("id", CLAIM).is_displayed()


def accessible(driver: Any) -> list[tuple[str, str]]:
    """The roles and names of the accessibility tree, which the browser builds after the page."""
    nodes = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]


def test_what_a_screen_reader_is_told(open_page: Callable[..., Any], ledger: dict[str, Any]) -> None:
    """Also where the table is laid out as cards."""
    driver = open_page(PHONE)
    WebDriverWait(driver, 30).until(lambda d: ("heading", driver.title) in accessible(d))
    told = accessible(driver)
    roles = [role for role, _ in told]
    assert any(role == "table" and name.startswith("Every claim") for role, name in told)
    assert roles.count("rowheader") >= len(ledger["claims"]) and "status" in roles and {"banner", "main"} <= set(roles)
    unnamed = [
        role
        for role, name in told
        if role in ("link", "button", "textbox", "searchbox", "combobox", "table") and not name
    ]
    assert not unnamed


def test_on_paper_every_claim_is_open(open_page: Callable[..., Any]) -> None:
    driver = open_page(DESK, kind="print")
    assert not driver.find_element("id", "filter").is_displayed()
    heights = driver.execute_script(
        "return [...document.querySelectorAll('.claim')].map((e) => e.getBoundingClientRect().height)"
    )
    assert heights and min(heights) > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str, open_page: Callable[..., Any]) -> None:
    driver = open_page(DESK, scheme=scheme)
    driver.execute_script("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    pairs = {tuple(found) for found in driver.execute_script(COLOURS)}
    assert len(pairs) > 20
    low = {(what, round(contrast(text, back), 2)) for what, text, back in pairs if contrast(text, back) < CONTRAST}
    assert not low


def contrast(one: str, other: str) -> float:
    """(L1 + 0.05) / (L2 + 0.05), L the relative luminances, the lighter above."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    values = [int(v) / 255 for v in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    return sum(weight * v for weight, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_contrast_by_hand() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


def test_the_page_is_one_file(address: str) -> None:
    assert [path.name for path in Path(address.removeprefix("file://")).parent.iterdir()] == ["report.html"]
