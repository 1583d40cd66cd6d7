"""A person in front of the page: finds things by what they are called, and looks at the views' pixels."""

from __future__ import annotations

import io
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = {"width": 1400, "height": 900}
SECONDS = 30.0
JOBS = 6
"""How many times longer a job may take than anything else."""
TOLERANCE = 24
"""Grey levels by which a pixel of a JPEG may differ without having changed."""
VIEWS = ("axial", "coronal", "sagittal", "3d")
Pixels = Any
"""Height × width × RGB, uint8."""


@contextmanager
def running_chromium(program: str) -> Iterator[Any]:
    """The system's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield browser
        browser.close()


class BrowserUser:
    """One page from opening to closing.

    Attributes:
        page: of Playwright, for what has no word here.
        hosts: every host that the page asked for something.
    """

    def __init__(self, browser: Any, url: str, seconds: float = SECONDS, dark: bool = False) -> None:
        self.page: Page = browser.new_page(viewport=SIZE, color_scheme="dark" if dark else "light")
        self.page.set_default_timeout(1000 * seconds)
        expect.set_options(timeout=1000 * seconds)
        self.seconds = seconds
        self.hosts: set[str] = set()
        self._home = urllib.parse.urlsplit(url).netloc
        self._faults: list[str] = []
        self.allowed: list[str] = []
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self._faults.append(f"error in the page: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)
        self.page.goto(url)

    def close(self) -> list[str]:
        """Close the page; what went wrong while it was open, but what was allowed to."""
        self.page.close()
        return [fault for fault in self._faults if not any(text in fault for text in self.allowed)]

    def named(self, role: Any, name: str | re.Pattern[str], nth: int = 0) -> Locator:
        """What is visible under a role and an accessible name; a plain name has to be the whole one."""
        found = self.page.get_by_role(role, name=name, exact=isinstance(name, str))
        return found.filter(visible=True).nth(nth)

    def press(self, name: str | re.Pattern[str], nth: int = 0) -> None:
        """Click on a button."""
        self.named("button", name, nth).click()

    def tick(self, name: str) -> None:
        """Click on a box."""
        self.named("checkbox", name).click()

    def tab(self, name: str) -> None:
        self.named("tab", name).click()

    def enter(self, name: str, text: str) -> None:
        """Put a text into a field, in place of the earlier one."""
        self.named("textbox", name).fill(text)

    def choose(self, name: str | re.Pattern[str], option: str | re.Pattern[str]) -> None:
        """Open a list and take an entry."""
        self.named("combobox", name).locator("xpath=ancestor::*[contains(@class, 'v-field')][1]").click()
        entry = self.page.get_by_role("option", name=option, exact=isinstance(option, str)).filter(visible=True)
        entry.first.click()

    def slide(self, name: str, share: float) -> None:
        """Drag a slider to a share of its track, by the mouse."""
        handle = self.named("slider", name)
        handle.scroll_into_view_if_needed()
        track = handle.locator("xpath=ancestor::*[contains(@class, 'v-slider__container')]").bounding_box()
        assert track is not None
        place = handle.bounding_box()
        assert place is not None
        mouse = self.page.mouse
        mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        mouse.down()
        mouse.move(track["x"] + share * track["width"], track["y"] + track["height"] / 2, steps=6)
        mouse.up()

    def rows(self, table: str) -> Locator:
        """The rows of a table, without its head."""
        return self.page.locator(f'[aria-label="{table}"] tbody tr')

    def sees(self, text: str | re.Pattern[str], seconds: float | None = None) -> None:
        """Wait until a text is visible."""
        limit = None if seconds is None else 1000 * seconds
        expect(self.page.get_by_text(text).filter(visible=True).first).to_be_visible(timeout=limit)

    def status_says(self, text: str | re.Pattern[str]) -> None:
        """Wait until a line of what goes on says this; jobs take longer than anything else."""
        found = self.page.get_by_role("status").filter(has_text=text)
        expect(found.first).to_be_visible(timeout=JOBS * 1000 * self.seconds)

    def view(self, name: str) -> Locator:
        """One of `VIEWS`."""
        return self.page.locator(f'[data-view="{name}"]')

    def pixels(self, name: str) -> Pixels:
        """A view as it is drawn in the page now, without what lies over it at its edges."""
        picture = np.asarray(Image.open(io.BytesIO(self.view(name).screenshot())).convert("RGB"))
        height, width = picture.shape[:2]
        return picture[height // 8 : -height // 8, width // 8 : -width // 8]

    def settled(self, name: str) -> Pixels:
        """A view once it has stopped changing."""
        return settled(lambda: self.pixels(name), self.seconds)

    def changes(self, name: str, action: Callable[[], object], least: float = 0.002) -> float:
        """Do something, wait until at least this share of a view's pixels has changed, and return the share."""
        before = self.settled(name)
        action()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            if changed(before, self.pixels(name)) >= least:
                return changed(before, self.settled(name))
            time.sleep(0.1)
        share = changed(before, self.pixels(name))
        pytest.fail(f"the view “{name}” did not change: {share:.3%} of it, {least:.3%} are expected")

    def keeps(self, name: str, action: Callable[[], object], most: float = 0.0005) -> None:
        """Do something that must leave a view as it is."""
        before = self.settled(name)
        action()
        time.sleep(1.0)
        share = changed(before, self.settled(name))
        assert share <= most, f"{share:.2%} of the view “{name}” changed"

    def scroll(self, name: str, steps: int) -> None:
        """Turn the mouse wheel over a view."""
        self.view(name).hover()
        for _ in range(abs(steps)):
            self.page.mouse.wheel(0, 120 if steps > 0 else -120)
            self.page.wait_for_timeout(80)

    def click_view(self, name: str, across: float, down: float) -> None:
        """Click at shares of a view's width and height."""
        box = self.view(name).bounding_box()
        assert box is not None
        place = (box["x"] + across * box["width"], box["y"] + down * box["height"])
        self.page.mouse.move(*place)
        self.page.wait_for_timeout(150)
        self.page.mouse.click(*place)

    def drag_in_view(self, name: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag with the left button from one place to another, in shares of a view's width and height."""
        box = self.view(name).bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*places[0])
        self.page.wait_for_timeout(150)
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=8)
        self.page.wait_for_timeout(150)
        self.page.mouse.up()

    def picture(self, path: Path) -> None:
        """The whole page as a small PNG file, once it has stopped changing."""
        shot = settled(lambda: np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")), self.seconds)
        small = Image.fromarray(shot).quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        small.save(path, optimize=True)

    def _asked(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in {"data", "blob", "about"}:
            return
        self.hosts.add(parts.netloc)
        if parts.netloc != self._home:
            self._faults.append(f"the page asked another host: {url}")

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self._faults.append(f"console: {message.text}")

    def _failed(self, request: Any) -> None:
        self._faults.append(f"request failed: {request.url}: {request.failure}")

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self._faults.append(f"request answered {response.status}: {response.url}")


def changed(before: Pixels, after: Pixels, tolerance: int = TOLERANCE) -> float:
    """Share of pixels of which some channel differs by more than the tolerance, in grey levels; 1 for another size."""
    if before.shape != after.shape:
        return 1.0
    differences = np.abs(before.astype(np.int16) - after.astype(np.int16)).max(axis=-1)
    return float((differences > tolerance).mean())


def settled(look: Callable[[], Pixels], seconds: float) -> Pixels:
    """What is seen once three looks after one another are the same."""
    deadline, same, last = time.monotonic() + seconds, 0, look()
    while time.monotonic() < deadline:
        time.sleep(0.15)
        now = look()
        same = same + 1 if changed(last, now, 8) == 0 else 0
        last = now
        if same == 2:
            return now
    pytest.fail("the picture does not come to rest")
