"""MONAI Label's datastore over a DICOMweb server.

In place of MONAI Label's own, which downloads a converter at start, waits without end, keeps headers on the disk, puts
patients' identifiers into its log and lists computed tomography.
"""

from __future__ import annotations

import json
import logging
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from slicerxai.data.io import READABLE, read_volume, suffix_of, write_volume
from slicerxai.dicom.sequences import Recognised
from slicerxai.errors import ConflictError, InputError, NotFoundError, UserError
from slicerxai.server.dicomweb.archive import SUFFIX, Archive
from slicerxai.server.dicomweb.segmentations import Segmentations, written
from slicerxai.server.monailabel.dicom_labels import drawn_again, label_names, submitted
from slicerxai.server.monailabel.dicom_state import DicomState
from slicerxai.server.worklist_store import FOLDER, WorklistStore

logger = logging.getLogger(__name__)

FINAL = DefaultLabelTag.FINAL.value
INSTANCE, WRITTEN = "sop_instance_uid", "written"
"""Information of a submitted label: which object of the archive it is, and when it was drawn."""


class DicomDatastore(Datastore):
    """Images are the series of the server under pseudonyms. A submitted label (tag "final") is stored there as a DICOM
    Segmentation before it counts, and a Segmentation that a person stored there by other means counts as one; other
    labels and what clients say of images stay here.

    Attributes:
        archive: the server's images.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._datastore_path = str(archive.root)  # where `Sources` looks for files
        self._state = DicomState(archive.root)
        self._drawn = Segmentations(archive)
        self._worklist = WorklistStore(archive.root / FOLDER)

    def name(self) -> str:
        return f"DICOMweb server {self.archive.client.host}"

    def set_name(self, name: str) -> None:
        raise _fixed()

    def description(self) -> str:
        return "MR series, by pseudonyms of study and series"

    def set_description(self, description: str) -> None:
        raise _fixed()

    def datalist(self, full_path: bool = True) -> list[dict[str, Any]]:
        """Image and submitted label of every image that has one; the images are fetched."""
        pairs = [
            {"image": self.get_image_uri(image), "label": self.get_label_uri(image, FINAL)}
            for image in self.get_labeled_images()
        ]
        root = f"{self.archive.root}/"
        return pairs if full_path else [{key: path.removeprefix(root) for key, path in pair.items()} for pair in pairs]

    def list_images(self) -> list[str]:
        """Ids of all series. Raises `UnavailableError`."""
        return list(self.archive.listing())

    def get_image(self, image_id: str, params: Mapping[str, Any] | None = None) -> BytesIO:
        return BytesIO(Path(self.get_image_uri(image_id)).read_bytes())

    def get_image_uri(self, image_id: str) -> str:
        """The file of an image's volume, fetched when it is not here."""
        return str(self.archive.volume(image_id))

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """What clients and the worklist say of an image, which sequence it is and of which study; nothing of whom."""
        image, found = self.archive.image(image_id), self.archive.sequence(image_id)
        about = {"study": image.study, "modality": found.modality, "modality_reason": found.reason}
        name = {"name": f"{image_id}{SUFFIX}", "instances": image.instances}
        return self._state.of(image_id).info | about | name | self._worklist.information(image_id)

    def get_label(self, label_id: str, label_tag: str, params: Mapping[str, Any] | None = None) -> BytesIO:
        return BytesIO(Path(self.get_label_uri(label_id, label_tag)).read_bytes())

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """The file of a label; empty without one. A submitted one is fetched when the server has a newer one."""
        kept = self._state.of(label_id).labels.get(label_tag)
        if label_tag == FINAL:
            drawn = self._drawn.newest().get(label_id)
            if drawn is None:
                return ""
            if kept is None or str(kept.info.get(WRITTEN, "")) < drawn.when:
                return self._fetched_label(label_id, drawn.when)
        return "" if kept is None else str(self._state.label(label_id, label_tag))

    def _fetched_label(self, image: str, when: str) -> str:
        label, names = self._drawn.fetch(image)
        with tempfile.TemporaryDirectory(prefix="slicerxai-") as folder:
            write_volume(Path(folder) / f"label{SUFFIX}", label)
            told = [{"name": name, "idx": value} for name, value in names.items()]
            info = {"label_info": told, WRITTEN: when}
            self._state.keep_label(image, FINAL, Path(folder) / f"label{SUFFIX}", SUFFIX, info)
        return str(self._state.label(image, FINAL))

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        tags = self._state.of(image_id).labels.keys() - {FINAL}
        return dict.fromkeys(sorted(tags | ({FINAL} if self._labelled(image_id) else set())), image_id)

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        kept = self._state.of(label_id).labels.get(label_tag)
        return {} if kept is None else kept.info

    def get_labeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Images with a submitted label."""
        return [image for image in self.list_images() if self._labelled(image)]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: Sequence[str] | None = None) -> list[str]:
        """Images without one that are a sequence which models read: no localisers, no maps."""
        recognised = self.archive.sequences()
        return [
            image for image, found in recognised.items() if found.modality is not None and not self._labelled(image)
        ]

    def get_dataset_archive(self, limit_cases: int | None) -> str:
        """A ZIP file, the caller's to remove, with `image/` and `label/` of the images with a submitted label."""
        with tempfile.NamedTemporaryFile(prefix="slicerxai-", suffix=".zip", delete=False) as file:
            path = Path(file.name)
        try:
            with zipfile.ZipFile(path, mode="w") as content:
                for pair in self.datalist()[: limit_cases or None]:
                    for key, source in pair.items():
                        content.write(source, arcname=f"{key}/{Path(source).name}")
                content.writestr("metadata.json", json.dumps(self.json()))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return str(path)

    def refresh(self) -> None:
        """Ask the server again what it holds."""
        self.archive.listing(within=0)

    def add_image(self, image_id: str, image_filename: str, image_info: Mapping[str, Any]) -> str:
        msg = "images come from the DICOMweb server; store them there, or upload one with PUT /session/"
        raise ConflictError(msg)

    def remove_image(self, image_id: str) -> None:
        msg = "images are deleted on the DICOMweb server, not here"
        raise ConflictError(msg)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: Mapping[str, Any]) -> str:
        """Keep a label; a submitted one is stored on the server first.

        Raises:
            NotFoundError, UnavailableError: from the server. InputError: not a labelmap of the image.
            ConflictError: the server refuses the Segmentation; nothing is kept.
        """
        source, info = Path(label_filename), dict(label_info or {})
        if label_tag == FINAL:
            with self.archive.series(image_id) as series:
                dataset = submitted(series, read_volume(source), label_names(info))
            outcome = self.archive.send([dataset])[0]
            if outcome.state == "present" and self.get_label_info(image_id, FINAL).get(INSTANCE) != outcome.instance:
                dataset = drawn_again(dataset)
                outcome = self.archive.send([dataset])[0]
            if outcome.state == "failed":
                msg = f"the DICOMweb server did not take the label: {outcome.reason}"
                raise ConflictError(msg)
            info |= {INSTANCE: outcome.instance, WRITTEN: written(dataset)}
            self._drawn.note(image_id, dataset)
        self._state.keep_label(image_id, label_tag, source, suffix_of(source) or READABLE[0], info)
        return image_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        if label_tag == FINAL:
            msg = "submitted labels lie on the DICOMweb server and are deleted there; submit another one to replace it"
            raise ConflictError(msg)
        self._state.drop_label(label_id, label_tag)

    def update_image_info(self, image_id: str, info: Mapping[str, Any]) -> None:
        with self._state.changed(self.archive.image(image_id).id) as state:
            state.info.update(info)

    def update_label_info(self, label_id: str, label_tag: str, info: Mapping[str, Any]) -> None:
        with self._state.changed(label_id) as state:
            if label_tag not in state.labels:
                msg = f"image {label_id!r} has no label {label_tag!r}"
                raise NotFoundError(msg)
            state.labels[label_tag].info.update(info)

    def status(self) -> dict[str, Any]:
        """Counts of the last listing, at once; "unavailable" says why there is no newer one."""
        images, drawn = set(self.archive.last_listing()), set(self._drawn.last())
        trouble = {"unavailable": self.archive.trouble} if self.archive.trouble else {}
        tags: dict[str, int] = {}
        for image in (self._state.known() | drawn) & images:
            for tag in self._state.of(image).labels.keys() - {FINAL} | ({FINAL} if image in drawn else set()):
                tags[tag] = tags.get(tag, 0) + 1
        return {"total": len(images), "completed": tags.get(FINAL, 0), "label_tags": tags} | trouble

    def json(self) -> dict[str, Any]:
        """Everything, as MONAI Label's own datastores tell it."""
        objects = {}
        for image in self.list_images():
            state = self._state.of(image)
            labels = {tag: label.model_dump() for tag, label in state.labels.items()}
            objects[image] = {"image": {"ext": SUFFIX, "info": state.info}, "labels": labels}
        return {"name": self.name(), "description": self.description(), "objects": objects}

    def channels(self, image: str, wanted: Sequence[str]) -> dict[str, str]:
        """The images of the same study that are a model's channels, by modality.

        An image whose sequence is not known may be the only channel; a person has chosen it.

        Raises:
            NotFoundError: the study has no such sequence. InputError: it has several, or the image is none of them.
        """
        own = self.archive.sequence(image)
        if len(wanted) == 1 and own.modality in {None, wanted[0]}:
            return {wanted[0]: image}
        if own.modality not in wanted:
            msg = f"image {image!r} is {_called(own)}; the model reads {', '.join(wanted)}"
            raise InputError(msg)
        return {one: image if one == own.modality else self._sibling(image, one) for one in wanted}

    def cases(self, channels: Sequence[str]) -> list[str]:
        """The images that stand for a case each: those that are the model's first channel."""
        recognised = self.archive.sequences()
        return sorted(image for image, found in recognised.items() if found.modality == channels[0])

    def _sibling(self, image: str, modality: str) -> str:
        found = self.archive.of_study(image.partition("_")[0], modality)
        if not found:
            msg = f"the study of image {image!r} has no series that is clearly {modality}, which the model needs"
            raise NotFoundError(msg)
        if len(found) > 1:
            msg = f"the study of image {image!r} has {len(found)} {modality} series; name one of each with 'images'"
            raise InputError(msg, accepted=found)
        return found[0]

    def _labelled(self, image: str) -> bool:
        return image in self._drawn.newest()


def _called(found: Recognised) -> str:
    return found.modality or f"no known sequence ({found.reason})"


def _fixed() -> UserError:
    return ConflictError("the name of a DICOMweb server's images is not changed here")
