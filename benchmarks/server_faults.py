"""Benchmark `server_faults`: what breaks around the server before, during and after a job, and what becomes of it.

A real server with a real model, over two small file systems of its own (tmpfs; only root may mount them, others get
the rows that need none). Each fault is real: processes are killed, disks filled up, folders unmounted, files
overwritten, the clock set (by a preloaded library, which leaves CLOCK_MONOTONIC alone), memory taken away (RLIMIT_AS,
control group).

Each cell: seconds until the server answers anything (for one that was killed: from its start on, and until it serves
again; meanwhile it says 503 and that it is starting), what it says about the work that the fault concerns, and what
becomes of it when the fault is over. Then every result that was ever seen is fetched again and compared (`lost`), and
every file below the home and the studies is read (`corrupt`).

Figures: `cells`; `lost` and `corrupt` over all; `slowest_answer`, seconds; `slowest_restart`, seconds, of a killed
server until it serves again; `failed`, cells that did not get to their end. The table goes to `docs/reliability.md`.
"""

from __future__ import annotations

import json
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.server_faults_clients import labels_on_a_full_disk, labels_while_the_server_is_killed
from benchmarks.server_faults_rows import Fault, cells, faults
from benchmarks.server_faults_site import Cell, Site

logger = logging.getLogger(__name__)

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- table of server_faults -->", "<!-- end -->"
KILLS, QUICK_KILLS = 6, 2
QUICK = ("worker killed", "disk of the home full", "job list overwritten", "studies gone", "server killed")


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Break everything. `data` is not used; `quick` takes five faults during a job alone."""
    found: list[Cell] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        site = Site(Path(folder) / "site")
        mounted = site.mounted
        try:
            site.server.start()
            site.ready()
            for cell in _all(site, quick):
                found.append(cell)
                with (out / "server_faults.jsonl").open("a") as file:
                    file.write(json.dumps(asdict(cell)) + "\n")
        finally:
            site.close()
    result = {"rows": [row_of(cell) for cell in found], "figures": figures(found), "notes": notes(mounted)}
    if not quick:
        write_table(DOCUMENT, found)
    return result


def _all(site: Site, quick: bool) -> Iterator[Cell]:
    for fault in faults(site):
        if quick and not fault.name.startswith(QUICK):
            continue
        yield from _guarded(site, fault, quick)
    if site.mounted:
        yield labels_on_a_full_disk(site)
    yield labels_while_the_server_is_killed(site, QUICK_KILLS if quick else KILLS)


def _guarded(site: Site, fault: Fault, quick: bool) -> Iterator[Cell]:
    """The cells of a fault; one that does not get to its end counts as failed, and the next have a new server."""
    begun = time.monotonic()
    try:
        for cell in cells(site, fault, quick):
            print(f"{time.monotonic() - begun:6.1f} s  {cell}", flush=True)
            yield cell
            site.ready()
    except Exception as error:
        logger.exception("%s", fault.name)
        yield Cell(fault.name, "?", None, f"FAILED: {type(error).__name__}: {error}", "", site.lost(), site.corrupt())
        site.server.kill()
        site.server.start()
        site.ready()


def row_of(cell: Cell) -> dict[str, Any]:
    """A row of the table."""
    answered = "never" if cell.answered is None else f"{cell.answered:.1f}"
    serves = "" if cell.serves is None else f"{cell.serves:.1f}"
    return {
        "fault": cell.fault,
        "when": cell.when,
        "answers after s": answered,
        "serves after s": serves,
        "it says": cell.said.replace("|", "/"),
        "afterwards": cell.then.replace("|", "/"),
        "lost": cell.lost,
        "corrupt": len(cell.corrupt),
    }


def figures(found: list[Cell]) -> dict[str, Any]:
    """The sums that are to be 0, and the slowest."""
    return {
        "cells": len(found),
        "lost": sum(cell.lost for cell in found),
        "corrupt": len({name for cell in found for name in cell.corrupt}),
        "failed": sum(cell.said.startswith("FAILED") or cell.answered is None for cell in found),
        "slowest_answer": max(cell.answered or 0.0 for cell in found),
        "slowest_restart": max((cell.serves or 0.0 for cell in found), default=0.0),
    }


def notes(mounted: bool) -> list[str]:
    """How disks were filled."""
    disks = "tmpfs of 192 MiB (home) and 160 MiB (studies), filled to the last byte" if mounted else "not filled"
    return [f"Disks: {disks}. Folders that go away are {'unmounted' if mounted else 'renamed'}."]


def write_table(document: Path, found: list[Cell]) -> None:
    """Put the table in the place of the one in the document."""
    from benchmarks.__main__ import markdown

    text = document.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    rows = [{**row_of(cell), "corrupt": len(cell.corrupt)} for cell in found]
    summary = markdown([{"figure": name, "value": value} for name, value in figures(found).items()])
    document.write_text(f"{head}{BEGIN}\n\n{markdown(rows)}\n\n{summary}\n\n{END}{tail}", encoding="utf-8")
