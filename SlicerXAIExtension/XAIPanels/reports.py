"""The server's HTML report of a result, opened in the web browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import qt
from XAILib.client import Client
from XAILib.errors import ServerError

from .tasks import Tasks

OF_EARLIER_SESSION = "This result was made in an earlier session; explain the image again to get its report."


class Reports:
    """Knows the jobs of this session's results.

    Args:
        say: shows a sentence to the user.
    """

    def __init__(self, tasks: Tasks, say: Callable[[str], None]) -> None:
        self._tasks = tasks
        self._say = say
        self._jobs: dict[str, str] = {}
        self._folder: TemporaryDirectory | None = None

    def remember(self, node: Any, job: str) -> None:
        """The job that a result node came from."""
        self._jobs[node.GetID()] = job

    def forget(self) -> None:
        """The scene was closed; its node ids will be used again."""
        self._jobs.clear()

    def reason(self, node: Any) -> str:
        """Why there is no report of a result; empty when there is."""
        return "" if node is not None and node.GetID() in self._jobs else OF_EARLIER_SESSION

    def open(self, client: Client, node: Any) -> None:
        """Fetch in the background, then open."""
        job = self._jobs[node.GetID()]
        self._say("Fetching the report …")
        self._tasks.start(lambda stop, progress: client.report(job), self._arrived, self._failed)

    def close(self) -> None:
        """Remove the pages, which show the patient's image."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _arrived(self, html: str) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="xai-report-")
        number = len(list(Path(self._folder.name).iterdir())) + 1
        page = Path(self._folder.name) / f"report-{number}.html"
        page.write_text(html, encoding="utf-8")
        opened = qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
        self._say(
            "The report is open in the web browser." if opened else f"No web browser opened; the report is {page}."
        )

    def _failed(self, error: BaseException) -> None:
        self._say(f"No report: {error}")
        if not isinstance(error, ServerError):
            raise error
