"""Progress on the terminal."""

from __future__ import annotations

import time


class Printer:
    """Progress as lines, at most one in ten seconds."""

    def __init__(self, title: str) -> None:
        self.title, self.last = title, 0.0

    def __call__(self, fraction: float, message: str) -> None:
        now = time.monotonic()
        if now - self.last > 10:
            print(f"{self.title} {fraction:4.0%} {message}", flush=True)
            self.last = now
