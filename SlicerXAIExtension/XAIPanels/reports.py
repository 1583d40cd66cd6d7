"""The server's HTML report of a result: opened in the web browser, or saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import qt
from slicer.i18n import tr as _
from XAILib.client import Client
from XAILib.errors import ServerError

from .documents import text_of
from .saving import save
from .tasks import Tasks

OF_EARLIER_SESSION = _("This result was made in an earlier session; explain the image again to get its report.")


class Reports:
    """Knows the jobs of this session's results.

    Args:
        say: shows a sentence to the user.
        earlier: why a result of an earlier session has no report.
    """

    def __init__(self, tasks: Tasks, say: Callable[[str], None], earlier: str = OF_EARLIER_SESSION) -> None:
        self._tasks = tasks
        self._say = say
        self._earlier = earlier
        self._jobs: dict[str, str] = {}
        self._folder: TemporaryDirectory | None = None

    def remember(self, node: Any, job: str) -> None:
        """The job that a result node came from."""
        self._jobs[text_of(node)] = job

    def forget(self) -> None:
        """The scene was closed."""
        self._jobs.clear()

    def reason(self, node: Any) -> str:
        """Why there is no report of a result; empty when there is."""
        return "" if node is not None and text_of(node) in self._jobs else self._earlier

    def open(self, client: Client, node: Any) -> None:
        """Fetch in the background, then open."""
        self._fetch(client, node, self._arrived)

    def save(self, client: Client, node: Any, path: Path) -> None:
        """Fetch in the background, then write to a file that the user has chosen."""
        self._fetch(client, node, lambda html: self._write(html, path))

    def close(self) -> None:
        """Remove the pages, which show the patient's image."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _fetch(self, client: Client, node: Any, arrived: Callable[[str], None]) -> None:
        job = self._jobs[text_of(node)]
        self._say(_("Fetching the report …"))
        self._tasks.start(lambda stop, progress: client.report(job), arrived, self._failed)

    def _arrived(self, html: str) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="xai-report-")
        number = len(list(Path(self._folder.name).iterdir())) + 1
        page = Path(self._folder.name) / f"report-{number}.html"
        page.write_text(html, encoding="utf-8")
        opened = qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(page)))
        self._say(
            _("The report is open in the web browser.")
            if opened
            else _("No web browser opened; the report is {page}.").format(page=page)
        )

    def _write(self, html: str, path: Path) -> None:
        save(self._tasks, path, html.encode(), self._say, _("The report is saved as {path}.").format(path=path))

    def _failed(self, error: BaseException) -> None:
        self._say(_("No report: {error}").format(error=error))
        if not isinstance(error, ServerError):
            raise error
