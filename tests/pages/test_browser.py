"""The pages in a browser: nothing hangs over the edge, the keyboard reaches everything, axe finds no fault.

Debian's Chromium is driven by Playwright against a real server on loopback.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import axe_core_python
import pytest
from playwright.sync_api import sync_playwright

from server.app import engine_of, rounds_of, store_of
from server.load import publish_closed
from tests.pages.conftest import settings_in

pytestmark = pytest.mark.xdist_group("browser")

ROOT = Path(__file__).parents[2]
AXE = Path(axe_core_python.__file__).parent / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"]
QUIET = [
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
]  # fmt: skip
PAGES = {
    # axe takes seconds for 40 rows and says the same of 12.
    "portfolio": "/?_count=12",
    "filtered": "/?context=samstyre&overdue=true&title:contains=e&round=2021-11",
    "nothing": "/?title:contains=finnes-ikke&_asOf=2020-01-01T00:00:00Z",
    "co-governed": "/tiltak/NEP-0005",
    "observed": "/tiltak/NEP-0031",
    "dependencies": "/avhengigheter?conflict=any",
    "actors": "/aktorer",
    "actor": "/aktorer/helse-vest",
    "figures": "/nokkeltall?context=samstyre",
    "refused": "/?foo=bar",
    "unknown": "/tiltak/NEP-9999",
    "nowhere": "/nowhere",
    "sign-in": "/logg-inn?next=/",
    "reviewed": "/runder/2021-11/gjennomgang/NEP-0010",
    "disagreements": "/avvik?round=2021-11",
    "account": "/konto",
    "signed-out": "/logg-ut",
    "rounds": "/runder",
    "round": "/runder/2021-11?state=kladd",
    "editions": "/utgaver",
    "edition": "/utgaver/2021-11",
}
SIGNED_IN = {
    "account": "/konto",
    "queue": "/runder/2021-11/gjennomgang?page=2",
    "workbook": "/runder/2021-11/arbeidsbok",
    "answer": "/innsyn/PlanDefinition?_count=2",
    "with a form": "/logg-inn",
    "nothing": PAGES["nothing"],
}


@pytest.fixture(scope="module")
def published(portfolio, tmp_path_factory):
    """A copy of the portfolio, its round with an edition."""
    folder = shutil.copytree(portfolio, tmp_path_factory.mktemp("browser") / "copy")

    async def publish():
        settings = settings_in(folder)
        store = store_of(settings)
        await store.open()
        assert await publish_closed(engine_of(settings, store), rounds_of(settings)) == ["Bundle/rapport-2021-11"]
        await store.close()

    asyncio.run(publish())
    return folder


@pytest.fixture(scope="module")
def address(published):
    """A server over it, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"STORE": f"sqlite:///{published}/portfolio.db", "KEYS": f"{published}/keys", "PORT": str(port)}
    environment = os.environ | {f"PORTFOLIO_{name}": text for name, text in given.items()}
    environment["PORTFOLIO_HOST"] = "127.0.0.1"
    server = subprocess.Popen(
        [sys.executable, "-m", "server", "serve"], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait(f"http://127.0.0.1:{port}/health/ready", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(url, server):
    for _ in range(200):
        assert server.poll() is None, "the server ended before it was ready"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer within 10 s")


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    assert chromium, "No browser: install Debian's package chromium (apt-get install chromium), or run scripts/test."
    # Chromium refuses its sandbox to root.
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=[*QUIET, *root])
        yield browser
        browser.close()


def opened(browser, **given):
    """A window; its policy is set aside so that axe, and nothing of ours, may run in the page."""
    return browser.new_context(bypass_csp=True, **given).new_page()


def faults(window, name, rules):
    """What axe has to say against the page, by a line each."""
    found = window.evaluate("rules => axe.run(document, {runOnly: rules})", rules)
    assert found["passes"], "axe did not run"
    return [f"{name}: {one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


@pytest.mark.parametrize("lang", ["nb", "en"])
def test_axe_finds_no_fault_and_nothing_hangs_over_the_edge(address, browser, tmp_path, lang):
    window = opened(browser)
    script, wrong = AXE.read_text("utf-8"), []
    for name, path in PAGES.items():
        window.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={lang}")
        window.evaluate(script)
        assert window.locator("h1").count() == 1
        for width in (1280, 390, 320):
            window.set_viewport_size({"width": width, "height": 900})
            if window.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name} is wider than {width} px")
        # At 320 px the tables are cards: another page to axe, but the same in both languages.
        wrong += faults(window, f"{name} at 320 px", RULES) if lang == "nb" else []
        window.screenshot(path=tmp_path / f"{name}-{lang}-320.png")
        window.set_viewport_size({"width": 1280, "height": 900})
        wrong += faults(window, f"{name} at 1280 px", RULES)
        window.screenshot(path=tmp_path / f"{name}-{lang}-1280.png")
    window.context.close()
    assert wrong == []


@pytest.mark.parametrize("lang", ["nb", "en"])
def test_signing_in_and_out_needs_no_script_and_axe_finds_no_fault(address, browser, tmp_path, lang):
    window = opened(browser, locale="nb-NO")
    window.goto(f"{address}/tiltak/NEP-0001?lang={lang}")
    window.locator(".account a").click()
    window.select_option("select", "reporter:983658725")
    window.locator("main button").click()
    assert window.url == f"{address}/tiltak/NEP-0001?lang={lang}"
    wrong = []
    for name, path in SIGNED_IN.items():
        window.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={lang}")
        window.evaluate(AXE.read_text("utf-8"))
        for width in (320, 1280):
            window.set_viewport_size({"width": width, "height": 900})
            if window.evaluate("document.documentElement.scrollWidth") > width:
                wrong.append(f"{name} is wider than {width} px")
            wrong += faults(window, f"{name} at {width} px", RULES)
            window.screenshot(path=tmp_path / f"signed-in-{name}-{lang}-{width}.png")
    window.locator(".account button").click()
    assert window.url == f"{address}/logg-ut?lang={lang}"
    assert not window.context.cookies()
    window.context.close()
    assert wrong == []


def test_the_forms_of_a_round_come_back_with_their_faults_in_reach(address, browser, tmp_path):
    """Without a script: the summary of faults has the focus, and leads to the field. Nothing is opened or closed."""
    window = opened(browser, locale="nb-NO", viewport={"width": 320, "height": 900})
    window.goto(f"{address}/logg-inn?next=/runder")
    window.select_option("select", "secretariat")
    window.locator("main button").click()
    window.fill("#number", "2026 11")
    window.locator("#opening button").click()
    wrong = _judged(window, "a refused opening", tmp_path)
    assert window.locator(":focus").get_attribute("class") == "errors"
    window.locator(".errors a").first.click()
    assert window.evaluate("document.querySelector(':target').id") == "number"
    for name, text in {"number": "2026-11", "title": "November 2026", "start": "2026-11-01", "end": "2026-11-30",
                       "initiatives": "status=active&context=samstyre"}.items():  # fmt: skip
        window.fill(f"#{name}", text)
    window.locator("#opening button").click()
    assert window.locator("#preview tbody tr").count() == 11
    wrong += _judged(window, "a preview", tmp_path)
    window.goto(f"{address}/runder/2021-11?state=kladd")
    window.locator("#correcting button").click()
    assert window.locator(".errors a").count() == 2
    window.set_viewport_size({"width": 1280, "height": 900})
    wrong += _judged(window, "a refused correction", tmp_path)
    window.context.close()
    assert wrong == []


def _judged(window, name, folder):
    """What is wrong of the page as it stands in the window."""
    window.evaluate(AXE.read_text("utf-8"))
    width = window.viewport_size["width"]
    wide = window.evaluate("document.documentElement.scrollWidth") > width
    window.screenshot(path=folder / f"{name}.png")
    return [*([f"{name} is wider than {width} px"] if wide else []), *faults(window, name, RULES)]


def test_no_initiative_hangs_over_the_edge_of_a_phone(address, browser):
    window = opened(browser, viewport={"width": 320, "height": 800}, locale="nb-NO")
    wide = []
    for path in ("/", *(f"/tiltak/NEP-{number:04}" for number in range(1, 41))):
        window.goto(f"{address}{path}")
        if window.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
    window.context.close()
    assert wide == []


def test_the_dark_colours_have_contrast_too(address, browser, tmp_path):
    window = opened(browser, color_scheme="dark")
    wrong = []
    for name in ("filtered", "co-governed", "dependencies", "figures", "refused"):
        window.goto(f"{address}{PAGES[name]}")
        window.evaluate(AXE.read_text("utf-8"))
        wrong += faults(window, name, ["cat.color"])
        window.screenshot(path=tmp_path / f"{name}-dark.png")
    window.context.close()
    assert wrong == []


def test_the_policy_lets_the_style_in_and_nothing_complains(address, browser):
    window = browser.new_context().new_page()
    said = []
    window.on("console", lambda message: said.append(message.text))
    window.goto(f"{address}/")
    assert window.evaluate("getComputedStyle(document.querySelector('header.site')).backgroundColor") != (
        "rgba(0, 0, 0, 0)"
    )
    assert said == []
    window.context.close()


def test_the_keyboard_reaches_the_filters_and_shows_where_it_is(address, browser):
    window = browser.new_context(java_script_enabled=False, locale="nb-NO").new_page()
    window.goto(f"{address}/")
    reached = []
    for _ in range(28):
        window.keyboard.press("Tab")
        focused = window.locator(":focus")
        outline = focused.evaluate("e => getComputedStyle(e).outlineStyle + getComputedStyle(e).outlineWidth")
        assert outline == "solid3px", focused.evaluate("e => e.outerHTML")
        reached.append(focused.get_attribute("id") or focused.get_attribute("href") or focused.inner_text())
    assert reached[0] == "#main"
    controls = ["title", "segment", "phase", "owner", "status", "risk", "solution", "round", "sort", "overdue"]
    assert [one for one in reached if one in controls] == controls
    window.context.close()


def test_the_form_filters_without_javascript(address, browser):
    window = browser.new_context(java_script_enabled=False, locale="nb-NO").new_page()
    window.goto(f"{address}/")
    window.get_by_label("Segment").select_option(label="Samstyre")
    window.get_by_label("Fase").select_option(label="Planlegge")
    window.get_by_label("Rapportert status").select_option(label="Gul")
    window.get_by_role("button", name="Vis tiltak").press("Enter")
    window.wait_for_url(lambda url: "samstyre" in url)
    assert "topic=" not in window.url
    assert [row.inner_text() for row in window.locator("tbody th").all()] == [
        "Program digital samhandling",
        "Realisere API-management som en tjeneste",
    ]
    window.get_by_role("link", name="Program digital samhandling").click()
    assert window.locator("h1").inner_text() == "Program digital samhandling"
    window.get_by_role("link", name="English").click()
    assert window.locator("html").get_attribute("lang") == "en"
    window.context.close()


def test_zoomed_text_and_forced_spacing_lose_nothing(address, browser):
    """WCAG 1.4.4 and 1.4.12: 200 % and wider spacing still fit a desk's window."""
    window = opened(browser, viewport={"width": 640, "height": 480})
    window.goto(f"{address}/")
    window.add_style_tag(
        content="* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }"
    )
    assert window.evaluate("document.documentElement.scrollWidth") <= 640
    window.context.close()
