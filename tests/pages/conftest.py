"""Pages in a real browser: Chromium without a window and without a network. Tests skip where it, or the extra browser, is missing.

Whatever a test does with a page, the fixture `opened` looks at the same afterwards: nothing was written to the browser's
console, no error was raised in the page, and the page asked for no file but itself.
"""

import shutil

import pytest

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --force-device-scale-factor=1"
).split()
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")  # its names, by system


@pytest.fixture(scope="session")
def chromium():
    """A browser that the pages of all tests share."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra browser is not installed")
    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Open a page's file: ``opened(path, "html[data-drawn]", width=390, dark=True)`` returns Playwright's page.

    Parameters
    ----------
    path : Path
    ready : str
        What is there when the page is ready, as a selector of CSS.
    address : str
        Follows the file's name, such as "#word".
    width, height : int
        Of the window, in pixels.
    dark : bool
        What the reader prefers.
    timed : bool
        Whether to return (page, seconds of processor time that the page took until it was ready).
    reloads : bool
        Whether the page may load itself once more.
    """
    pages, complaints, requests, reloading = [], [], [], []

    def open_page(path, ready="body", *, address="", width=1280, height=900, dark=False, timed=False, reloads=False):
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", offline=True
        )
        page = context.new_page()
        pages.append((page, context))
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: (reloading if reloads and requests else requests).append(request.url))
        meter = context.new_cdp_session(page)
        meter.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(path.as_uri() + address)
        page.wait_for_selector(ready, state="attached")
        metrics = {metric["name"]: metric["value"] for metric in meter.send("Performance.getMetrics")["metrics"]}
        return (page, metrics["ProcessTime"]) if timed else page

    yield open_page
    for page, context in pages:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
        context.close()
    assert not complaints
    assert len(requests) == len(pages) and all(url.startswith("file://") for url in requests), requests
    assert set(reloading) <= set(requests), reloading
