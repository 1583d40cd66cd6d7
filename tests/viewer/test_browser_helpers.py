"""What the tests of the page rely on: a fault in a page is noticed, and so is a change of a picture."""

from __future__ import annotations

import numpy as np
import pytest
from browser_user import BrowserUser, changed, settled
from playwright.sync_api import Browser

from tests.slicer.server_fixtures import send, stand_in

PAGES = {
    "good": "<h1>fine</h1>",
    "console": "<script>console.error('broken widget')</script>",
    "raises": "<script>throw new Error('not caught')</script>",
    "elsewhere": "<img src='http://localhost:1/x.png'>",
    "missing": "<img src='/none.png'>",
}


@pytest.mark.parametrize("page", PAGES)
def test_whatever_goes_wrong_in_a_page_is_told(chromium: Browser, page: str) -> None:
    def answer(handler: object) -> None:
        path = handler.path  # type: ignore[attr-defined]
        found = path.strip("/") in PAGES or path == "/favicon.ico"
        body = f"<link rel=icon href='data:,'>{PAGES.get(path.strip('/'), '')}".encode()
        send(handler, 200 if found else 404, body, "text/html")

    with stand_in(answer) as url:
        user = BrowserUser(chromium, f"{url}/{page}")
        user.page.wait_for_load_state("networkidle")
        faults = user.close()
    expected = {
        "good": "",
        "console": "broken widget",
        "raises": "not caught",
        "elsewhere": "another host",
        "missing": "answered 404",
    }
    assert expected[page] in "\n".join(faults)
    assert bool(faults) == (page != "good")


def test_noise_of_the_encoding_is_no_change_and_a_line_is_one() -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(60, 190, (100, 120, 3)).astype(np.uint8)
    noisy = (before + rng.integers(-9, 10, before.shape)).clip(0, 255).astype(np.uint8)
    assert changed(before, noisy) == 0
    drawn = noisy.copy()
    drawn[50, :, 1] = 255 - drawn[50, :, 1] // 4
    assert changed(before, drawn) > 0.005
    assert changed(before, before[:-1]) == 1


def test_a_picture_that_moves_on_never_settles() -> None:
    pictures = iter(range(10**6))
    with pytest.raises(pytest.fail.Exception, match="does not come to rest"):
        settled(lambda: np.full((4, 4, 3), 20 * (next(pictures) % 10), np.uint8), 0.6)
