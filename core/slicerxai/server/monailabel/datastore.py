"""MONAI Label's datastore file: replaced whole, and shown with what the worklist keeps of each image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from filelock import FileLock
from monailabel.datastore.local import LocalDatastore

from slicerxai.data.files import replaced_text
from slicerxai.server.worklist_store import FOLDER, WorklistStore


def harden(datastore: LocalDatastore) -> None:
    """Make the store survive being killed, see moved files, and show records and reviews as image information.

    MONAI Label truncates its file and then writes it, so that a process killed meanwhile leaves a store with which no
    server starts; and each process writes its own memory of the whole file, so that two lose each other's entries.
    Records and reviews are therefore files of their own, and only shown here.
    """
    kept = WorklistStore(Path(datastore._datastore_path) / FOLDER)
    stored_info = datastore.get_image_info

    def write(lock: bool = True) -> None:
        if lock:
            with FileLock(datastore._lock_file):
                write(lock=False)
            return
        path = Path(datastore._datastore_config_path)
        replaced_text(path, json.dumps(datastore._datastore.model_dump(exclude={"base_path"}), indent=2, default=str))
        datastore._config_ts = path.stat().st_mtime

    def image_info(image_id: str) -> dict[str, Any]:
        return stored_info(image_id) | kept.information(image_id)

    def moved(event: Any) -> None:
        if event.dest_path == datastore._datastore_config_path:
            datastore._init_from_datastore_file()  # another process wrote it; does nothing after a write of our own
        else:
            datastore._on_any_event(event)

    datastore._update_datastore_file = write
    datastore.get_image_info = image_info
    handler = getattr(datastore, "_handler", None)
    if handler is not None:  # MONAI Label overlooks files that are renamed into the studies folder
        handler.on_moved = moved
