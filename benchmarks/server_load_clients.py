"""The clients of benchmark `server_load`, a process of their own: `python -m benchmarks.server_load_clients PLAN OUT`.

PLAN is a JSON file with the fields of `Plan`. Every client works through operations that it draws by their weights, one
after the other, with exponential pauses; all draws are seeded. OUT becomes a JSON file with every request (operation,
start in seconds, seconds, status), what was computed, and what was wrong with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import sys
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

FAILED = 0
"""Status of a request without an answer."""
TIMEOUT_SECONDS = 300.0
POLL_SECONDS = 0.5
FRESH = 1_000_000
"""Seeds from here on are used once each: nothing can be taken from the store."""
NIFTI_HEADER_BYTES = 352


@dataclass
class Plan:
    """What to do.

    Attributes:
        weights: of the operations.
        images: ids of the datastore; uploads: files for sessions.
        seeds: of explanations that many ask for.
        expected: digests that a single client got, by name of what was asked.
        pause: mean seconds between two operations of a client.
    """

    url: str
    model: str
    clients: int
    seconds: float
    pause: float
    weights: dict[str, float]
    images: list[str]
    uploads: list[str]
    seeds: list[int]
    expected: dict[str, str]
    seed: int = 0


@dataclass
class Log:
    """What happened."""

    started: float = field(default_factory=time.perf_counter)
    requests: list[tuple[str, float, float, int]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    compared: int = 0
    different: list[str] = field(default_factory=list)
    fresh: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    unnamed_429: int = 0

    def compare(self, name: str, digest: str, expected: dict[str, str]) -> None:
        """Note whether a result is the one that a single client got; of a fresh one, what it was."""
        if name not in expected:
            self.fresh[name] = digest
            return
        self.compared += 1
        if expected[name] != digest:
            self.different.append(name)


class Client:
    """One of them: asks, and waits as long as it is told when it is refused."""

    def __init__(self, plan: Plan, log: Log, number: int) -> None:
        self.plan, self.log, self.number = plan, log, number
        self.random = random.Random(f"{plan.seed}-{number}")
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        self.http = httpx.AsyncClient(
            base_url=plan.url, timeout=TIMEOUT_SECONDS, limits=limits, verify=False, trust_env=False
        )
        self.asked = 0

    async def work(self, until: float) -> None:
        """Operations until then."""
        names, weights = zip(*self.plan.weights.items(), strict=True)
        async with self.http:
            await asyncio.sleep(self.random.uniform(0, self.plan.pause))
            while time.perf_counter() < until:
                operation = self.random.choices(names, weights)[0]
                await getattr(self, operation)()
                await asyncio.sleep(self.random.expovariate(1 / self.plan.pause))

    async def ask(self, operation: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        """The answer when it is a good one; else None after it was noted and, for 429, waited."""
        started = time.perf_counter()
        try:
            answer = await self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            self._note(operation, started, FAILED, f"{method} {path}: {type(error).__name__} {error}")
            return None
        if answer.status_code < 400:
            self._note(operation, started, answer.status_code)
            return answer
        self._note(operation, started, answer.status_code, f"{method} {path}: {answer.status_code} {answer.text[:200]}")
        if answer.status_code == 429:
            seconds = answer.headers.get("retry-after", "")
            self.log.unnamed_429 += not seconds.isdecimal()
            await asyncio.sleep(float(seconds) if seconds.isdecimal() else 1.0)
        return None

    def _note(self, operation: str, started: float, status: int, error: str = "") -> None:
        now = time.perf_counter()
        self.log.requests.append((operation, started - self.log.started, now - started, status))
        if error and status != 429 and len(self.log.errors) < 50:
            self.log.errors.append(error)

    async def info(self) -> None:
        await self.ask("info", "GET", "/info/")

    async def health(self) -> None:
        await self.ask("health", "GET", self.random.choice(("/health/live", "/health/ready")))

    async def infer(self) -> None:
        image = self.random.choice(self.plan.images)
        await self.segment("infer", f"infer {image}", {"image": image})

    async def segment(self, operation: str, name: str, query: dict[str, str]) -> None:
        """Segment and compare the voxels."""
        answer = await self.ask(operation, "POST", f"/infer/{self.plan.model}", params={**query, "output": "image"})
        if answer is not None:
            self.log.compare(name, voxels_digest(answer.content), self.plan.expected)

    async def session(self) -> None:
        """Upload, ask about it, segment, delete."""
        file = Path(self.random.choice(self.plan.uploads))
        files = {"files": (file.name, file.read_bytes(), "application/octet-stream")}
        answer = await self.ask("upload", "PUT", "/session/", files=files)
        if answer is None:
            return
        identifier = answer.json()["session_id"]
        await self.ask("session", "GET", f"/session/{identifier}")
        await self.segment("infer session", f"session {file.name}", {"session_id": identifier})
        while await self.ask("delete", "DELETE", f"/session/{identifier}") is None:
            if time.perf_counter() - self.log.started > self.plan.seconds + TIMEOUT_SECONDS:
                return
            await asyncio.sleep(1)

    async def explain(self) -> None:
        """One of the explanations that many ask for, or one of its own."""
        self.asked += 1
        fresh = FRESH + 1000 * self.number + self.asked
        await self.explained(self.random.choice(self.plan.images), self.random.choice([*self.plan.seeds, fresh]))

    async def explained(self, image: str, seed: int) -> None:
        """Submit, poll, fetch, compare the digests of the maps."""
        body = {"image": image, "model": self.plan.model, "parameters": {"method": "input_x_gradient", "seed": seed}}
        answer = await self.ask("explain", "POST", "/explain/saliency", json=body)
        if answer is None:
            return
        job = answer.json()
        while job["state"] in {"queued", "running"}:
            await asyncio.sleep(POLL_SECONDS)
            answer = await self.ask("job", "GET", f"/explain/jobs/{job['id']}")
            job = job if answer is None else answer.json()
        name = f"explain {image} {seed}"
        self.log.jobs[name] = job["id"]
        if job["state"] != "done":
            self.log.errors.append(f"job {job['id']}: {job['state']} {job['error']}")
            self.log.requests.append(("job failed", 0.0, 0.0, FAILED))
            return
        answer = await self.ask("result", "GET", f"/explain/jobs/{job['id']}/result")
        if answer is not None:
            self.log.compare(name, overlays_digest(answer), self.plan.expected)


def voxels_digest(content: bytes) -> str:
    """SHA-256 of the voxels of a NIfTI file, packed or not."""
    if content[:2] == b"\x1f\x8b":
        content = zlib.decompress(content, zlib.MAX_WBITS | 16)
    return hashlib.sha256(content[NIFTI_HEADER_BYTES:]).hexdigest()


def overlays_digest(answer: httpx.Response) -> str:
    """SHA-256 over all maps of an explanation: the multipart body without its document, which tells the time taken."""
    boundary = answer.headers["content-type"].partition("boundary=")[2].encode()
    parts = [part for part in answer.content.split(b"--" + boundary) if b'filename="' in part and b".nrrd" in part]
    return hashlib.sha256(b"".join(parts)).hexdigest()


async def run(plan: Plan) -> Log:
    """All clients for the plan's seconds; what is under way then is waited for."""
    log = Log()
    until = log.started + plan.seconds
    clients = [Client(plan, log, number) for number in range(plan.clients)]
    done = await asyncio.gather(*(client.work(until) for client in clients), return_exceptions=True)
    log.errors += [f"a client stopped: {error!r}" for error in done if isinstance(error, BaseException)]
    log.requests += [("client stopped", 0.0, 0.0, FAILED) for error in done if isinstance(error, BaseException)]
    return log


async def probe(url: str, paths: list[str], seconds: float, per_second: float) -> Log:
    """Asks `paths` in turn at a fixed rate, whether or not earlier requests have been answered: a server that stops for
    a second delays all that come in that second, and each of them counts.
    """
    log, plan = Log(), Plan(url, "", 1, seconds, 0, {}, [], [], [], {})
    client = Client(plan, log, 0)
    asked = set()
    async with client.http:
        for count in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, log.started + count / per_second - time.perf_counter()))
            path = paths[count % len(paths)]
            asked.add(asyncio.create_task(client.ask(path.strip("/"), "GET", path)))
        await asyncio.gather(*asked)
    return log


def main() -> None:
    """Read the plan, work, write the log whole."""
    given = json.loads(Path(sys.argv[1]).read_text())
    with contextlib.suppress(KeyboardInterrupt):
        if "probe" in given:
            log = asyncio.run(probe(given["url"], given["probe"], given["seconds"], given["per_second"]))
        else:
            log = asyncio.run(run(Plan(**given)))
        out = Path(sys.argv[2])
        out.with_suffix(".tmp").write_text(json.dumps(vars(log)))
        out.with_suffix(".tmp").replace(out)


if __name__ == "__main__":
    main()
