"""Follows the folder of the studies while it is taken away, brought back or put in another's place."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from monailabel.datastore.local import LocalDatastore
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0


class StudiesWatch(threading.Thread):
    """Looks at the folder every two seconds.

    The kernel's watch, which MONAI Label sets up once, is on the folder itself and not on its name: it ends with the
    folder, and sees nothing of one that is mounted or moved to its place. Here it is set up anew.
    """

    def __init__(self, datastore: LocalDatastore, is_there: Callable[[], bool], came_back: Callable[[], None]) -> None:
        """Look for the life of the process.

        Args:
            is_there: whether the folder of the images is in its place.
            came_back: called when it is again, or is another one.
        """
        super().__init__(name="studies", daemon=True)
        self._datastore = datastore
        self._is_there, self._came_back = is_there, came_back
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        seen = self._identity()
        while not self._stopped.wait(LOOK_SECONDS):
            now = self._identity()
            if now != seen and self._follow(now is not None):
                seen = now

    def _follow(self, there: bool) -> bool:
        """Whether it worked; otherwise it is tried again."""
        if not there:
            logger.error("the folder of the studies is gone; the list of images is kept until it is back")
            return True
        logger.warning("the folder of the studies is there again, or another one is in its place; reading it")
        try:
            self._observe()  # first, or what comes between the two would be seen by neither
            self._came_back()
        except Exception:
            logger.exception("the folder of the studies cannot be followed yet")
            return False
        return True

    def _identity(self) -> tuple[int, int] | None:
        if not self._is_there():
            return None
        try:
            about = Path(self._datastore._datastore_path).stat()
        except OSError:
            return None
        return about.st_dev, about.st_ino

    def _observe(self) -> None:
        store = self._datastore
        old = getattr(store, "_observer", None)
        if old is not None:
            old.stop()
        polls = store._is_on_mount(store._datastore.image_path())  # as MONAI Label chooses
        observer = PollingObserver() if polls else Observer()
        observer.schedule(store._handler, recursive=True, path=store._datastore_path)
        observer.start()
        store._observer = observer
