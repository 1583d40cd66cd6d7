"""Memory of a server and the processes that it started, over time, and its slope."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import psutil

EVERY_SECONDS = 1.0
MB = 1024**2


class Watch:
    """Samples from `with` on: seconds, MB of the server itself, MB of all that it started; and which workers lived."""

    def __init__(self, pid: int, every: float = EVERY_SECONDS) -> None:
        self.samples: list[tuple[float, float, float]] = []
        self.workers: set[int] = set()
        self.peak_mb = 0.0
        self._server, self._every = psutil.Process(pid), every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            try:
                own = self._server.memory_info().rss / MB
                children = self._server.children(recursive=True)
            except psutil.NoSuchProcess:
                return
            others = 0.0
            for child in children:
                try:
                    others += child.memory_info().rss / MB
                    if "multiprocessing.spawn" in " ".join(child.cmdline()):
                        self.workers.add(child.pid)
                except psutil.Error:
                    continue
            self.samples.append((time.monotonic() - self._started, own, others))
            self.peak_mb = max(self.peak_mb, own + others)

    def slopes(self, warm_up: float) -> dict[str, Any]:
        """MB a minute after the warm-up, with a 95 % interval: of the server, of what it started, of both."""
        kept = np.array([sample for sample in self.samples if sample[0] >= warm_up])
        if len(kept) < 20:
            return {}
        columns = {"server": kept[:, 1], "workers": kept[:, 2], "all": kept[:, 1] + kept[:, 2]}
        return {name: slope(kept[:, 0] / 60, values) for name, values in columns.items()}


def slope(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Least-squares slope with a 95 % interval for autocorrelated residuals (Newey and West, Econometrica 55, 1987)."""
    count = len(x)
    centred = x - x.mean()
    spread = float((centred**2).sum())
    estimate = float((centred * (y - y.mean())).sum() / spread)
    score = centred * (y - y.mean() - estimate * centred)
    lags = max(1, math.ceil(count ** (1 / 3)) * 2)
    variance = float((score**2).sum())
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float((score[lag:] * score[:-lag]).sum())
    half = 1.96 * math.sqrt(max(variance, 0.0)) / spread
    return {"mb_per_minute": estimate, "low": estimate - half, "high": estimate + half}
