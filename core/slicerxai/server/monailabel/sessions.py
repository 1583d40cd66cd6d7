"""MONAI Label's sessions: what a killed process left of one must not keep a server from starting."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

from monailabel.utils.sessions import SessionInfo, Sessions

from slicerxai.data.files import replaced_text

logger = logging.getLogger(__name__)

_META = "meta.info"


class WholeSessions(Sessions):
    """Sessions whose description is written whole; one that has none is removed after a while.

    As MONAI Label has it, a session that was cut off while it was uploaded makes the next start fail.
    """

    def __init__(self, store_path: str, expiry: int) -> None:
        super().__init__(store_path, expiry)
        self._unusable: set[str] = set()

    def remove_expired(self) -> int:
        """Remove what is too old, and what was unusable at the last call already and thus is not being uploaded.

        Returns how many.
        """
        now, removed, unusable = int(time.time()), 0, set()
        root = Path(self.store_path)
        for folder in [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []:
            session = self.get_session(folder.name, update_ts=False, fetch_cache=False)
            if session is None and folder.name not in self._unusable:
                unusable.add(folder.name)
            elif session is None or 0 < session.expiry < now - session.last_access_ts:
                logger.info("removing a session that has expired or was cut off")
                self.remove_session(folder.name)
                removed += 1
        self._unusable = unusable
        return removed

    def get_session(self, session_id: str, update_ts: bool = True, fetch_cache: bool = True) -> SessionInfo | None:
        """The session; None when there is none or it is unusable."""
        folder = Path(self.store_path) / session_id
        if folder.is_dir() and not self._is_whole(folder):
            return None
        return super().get_session(session_id, update_ts, fetch_cache)

    def _is_whole(self, folder: Path) -> bool:
        try:
            about: Any = json.loads((folder / _META).read_text(encoding="utf-8"))
            return Path(about["image"]).exists()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _write_meta_info(self, session_id: str, session_info: SessionInfo) -> None:
        path = Path(self.store_path) / session_id / _META
        try:
            replaced_text(path, session_info.to_str())
        except OSError as error:
            if not path.exists():
                raise
            logger.warning("the last use of session %s was not noted: %s", session_id, error)
