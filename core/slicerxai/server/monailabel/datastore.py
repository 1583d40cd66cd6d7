"""MONAI Label's datastore of local files: written whole, shared with other processes, kept while its folder is away."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastore, LocalDatastoreModel
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from slicerxai.data.files import copied, replaced_text
from slicerxai.errors import UnavailableError
from slicerxai.server.monailabel.studies_folder import StudiesFolder
from slicerxai.server.monailabel.studies_watch import StudiesWatch
from slicerxai.server.worklist_store import FOLDER, WorklistStore


def harden(datastore: LocalDatastore) -> None:
    """Make the store survive crashes, full disks, other processes and the absence of its folder.

    As MONAI Label has it, a process killed while it writes leaves half an image, label or list of them, and with the
    last no server starts; each process writes its own memory of the list, so that two lose each other's entries; and a
    folder of studies that is away for a moment empties the list for good. Records and reviews are files of their own
    (`WorklistStore`), and only shown here as image information.
    """
    whole = _WholeFiles(datastore)
    kept = WorklistStore(Path(datastore._datastore_path) / FOLDER)
    stored_info = datastore.get_image_info

    def image_info(image_id: str) -> dict[str, Any]:
        return stored_info(image_id) | kept.information(image_id)

    datastore._update_datastore_file = whole.write
    datastore._init_from_datastore_file = whole.read
    datastore._reconcile_datastore = whole.reconcile
    datastore.add_image = whole.add_image
    datastore.save_label = whole.save_label
    datastore.update_image_info = whole.update_image_info
    datastore.update_label_info = whole.update_label_info
    datastore.get_image_info = image_info
    if not whole.config.exists():
        whole.create()  # by which a folder that was unmounted is told from one without images
    handler = getattr(datastore, "_handler", None)
    if handler is not None:
        handler.on_moved = whole.on_moved
        StudiesWatch(datastore, whole.folder.is_there, whole.came_back).start()


class _WholeFiles:
    """What takes the place of MONAI Label's methods; each reads, changes and writes the list under one lock."""

    def __init__(self, datastore: LocalDatastore) -> None:
        self._store = datastore
        self.config = Path(datastore._datastore_config_path)
        self.folder = StudiesFolder(self.config, Path(datastore._lock_file))
        self._reconcile: Callable[[], None] = datastore._reconcile_datastore

    def came_back(self) -> None:
        """Follow what changed while the folder was away."""
        self._store._config_ts = 0
        self.reconcile()

    def on_moved(self, event: Any) -> None:
        """A file was renamed within or into the folder, which MONAI Label overlooks."""
        if event.dest_path == str(self.config):
            self.read()  # another process wrote it; does nothing after a write of our own
        else:
            self._store._on_any_event(event)

    def read(self, throw_exception: bool = False) -> None:
        """Take over what another process wrote."""
        with suppress(UnavailableError, FileNotFoundError), self.folder.locked():
            written = self.config.stat().st_mtime
            if written == self._store._config_ts:
                return
            model = LocalDatastoreModel.model_validate_json(self.config.read_bytes())
            model.base_path = self._store._datastore_path
            self._store._datastore = model
            self._store._config_ts = written

    def create(self) -> None:
        """Write the first list of a folder."""
        text = json.dumps(self._store._datastore.model_dump(exclude={"base_path"}), indent=2, default=str)
        replaced_text(self.config, text)
        self._store._config_ts = self.config.stat().st_mtime

    def write(self, lock: bool = True) -> None:
        """Write the list, whole. Raises `UnavailableError` when the folder has left since it was locked."""
        with self.folder.locked():
            self.folder.check_there()  # or images that are out of reach with it would count as removed
            self.create()

    def reconcile(self) -> None:
        """Follow files that came and went; not while all of them are away, nor when they leave meanwhile."""
        with suppress(UnavailableError, FileNotFoundError), self.folder.locked():
            known = self._store._datastore.model_copy(deep=True)
            try:
                self._reconcile()
                self.folder.check_there()
            except BaseException:
                self._store._datastore, self._store._config_ts = known, 0
                raise

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Copy an image into the store and return its id."""
        stem, suffix = self._store._to_id(Path(image_filename).name)
        image_id = image_id or stem
        target = Path(self._store._datastore.image_path()) / f"{image_id}{suffix}"

        def change() -> None:
            info = {**(image_info or {}), "ts": int(time.time()), "name": target.name}
            self._store._datastore.objects[image_id] = ImageLabelModel(image=DataModel(info=info, ext=suffix))

        self._put(Path(image_filename), target, change)
        return image_id

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Copy a label into the store, in the place of one of this tag, and return its id."""
        _, suffix = self._store._to_id(Path(label_filename).name)
        target = Path(self._store._datastore.label_path(label_tag)) / f"{image_id}{suffix}"

        def change() -> None:
            info = {**(label_info or {}), "ts": int(time.time()), "name": target.name}
            self._object(image_id).labels[label_tag] = DataModel(info=info, ext=suffix)

        self._put(Path(label_filename), target, change)
        return image_id

    def update_image_info(self, image_id: str, info: Mapping[str, Any]) -> None:
        """Add to an image's information."""
        self._change(lambda: self._object(image_id).image.info.update(info))

    def update_label_info(self, label_id: str, label_tag: str, info: Mapping[str, Any]) -> None:
        """Add to a label's information."""

        def change() -> None:
            label = self._store._datastore.label(label_id, label_tag)
            if label is None:
                raise LabelNotFoundException(f"Label: {label_id} Tag: {label_tag} not found")
            label.info.update(info)

        self._change(change)

    def _object(self, image_id: str) -> ImageLabelModel:
        found: ImageLabelModel | None = self._store._datastore.objects.get(image_id)
        if found is None:
            raise ImageNotFoundException(f"Image {image_id} not found")
        return found

    def _put(self, source: Path, target: Path, change: Callable[[], None]) -> None:
        """Copy a file beside its place, note it in the list, then put it there: a full disk leaves all as it was."""
        self.folder.check_there()
        target.parent.mkdir(exist_ok=True)
        temporary = target.with_name(f".{uuid4().hex}.new")
        try:
            copied(source, temporary)
            with self.folder.locked():
                self._change(change)
                temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def _change(self, change: Callable[[], None]) -> None:
        """Change the list as it is on the disk now; what cannot be written is not kept in memory either."""
        with self.folder.locked():
            self.read()
            try:
                change()
                self.write()
            except BaseException:
                self._store._config_ts = 0
                self.read()
                raise
