"""The server's HTML reports, handed on by the page's own address: the browser may not reach the server, nor log in."""

from __future__ import annotations

import asyncio
from typing import Any

from XAILib.errors import ServerError

from slicerxai.viewer.jobs import REPORT, Jobs

NONE = "There is no report of this job. Connect to its server, or ask again."
POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A report has styles and figures in it, and no script."""


class Reports:
    """Reports of the jobs in the tray."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def install(self, application: Any) -> None:
        """Add the address to an aiohttp application."""
        application.router.add_get(f"/{REPORT}/{{entry}}", self.answer)

    async def answer(self, request: Any) -> Any:
        """The report of an entry of the tray."""
        from aiohttp import web

        entry = self._jobs.tray.entry(request.match_info["entry"])
        client = self._jobs.tray.reached(entry) if entry is not None else None
        if entry is None or client is None or not entry.job:
            return web.Response(status=404, text=NONE)
        try:
            html = await asyncio.to_thread(client.report, entry.job)
        except ServerError as error:
            return web.Response(status=502, text=str(error))
        return web.Response(text=html, content_type="text/html", headers={"Content-Security-Policy": POLICY})
