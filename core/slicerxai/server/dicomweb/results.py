"""Explanations back to the archive that their images came from."""

from __future__ import annotations

import tempfile
from pathlib import Path

from slicerxai.data.digests import file_digest
from slicerxai.data.io import write_volume
from slicerxai.dicom.results import results_of
from slicerxai.dicom.sequences import MODALITIES
from slicerxai.dicom.series import Series
from slicerxai.errors import ConflictError
from slicerxai.explain.contract import Explanation
from slicerxai.server.dicomweb.archive import SUFFIX, Archive
from slicerxai.server.dicomweb.storing import Outcome


def send_result(archive: Archive, explanation: Explanation, image: str) -> list[Outcome]:
    """Store an explanation as DICOM objects in the study of its images; what became of each object.

    Args:
        image: id of the image of the model's first modality.

    Raises:
        NotFoundError, UnavailableError: from the server.
        ConflictError: the series is no longer what was explained.
        InputError: the series lacks what results refer to, such as its frame of reference.
    """
    with archive.series(image) as series:
        if _digest(series) not in _digests(explanation).values():
            msg = f"image {image!r} has changed on the DICOMweb server since it was explained; explain it again"
            raise ConflictError(msg)
        datasets = results_of(explanation, series)
    return archive.send(datasets)


def modalities_of(explanation: Explanation) -> tuple[str, ...]:
    """The modalities that were explained, in the order of the model's channels.

    Raises `ConflictError` when the result does not say from which images it is.
    """
    found = tuple(_digests(explanation))
    if not found:
        msg = "the result does not say from which images it was made"
        raise ConflictError(msg)
    return found


def _digests(explanation: Explanation) -> dict[str, str]:
    """SHA-256 of each image, by modality."""
    inputs = {} if explanation.provenance is None else explanation.provenance.inputs
    named = {key.removeprefix(f"{explanation.image_id}/"): digest for key, digest in inputs.items()}
    return {key: digest for key, digest in named.items() if key in MODALITIES}


def _digest(series: Series) -> str:
    """SHA-256 of the file that the archive keeps of a series."""
    with tempfile.TemporaryDirectory(prefix="slicerxai-") as folder:
        path = Path(folder) / f"volume{SUFFIX}"
        write_volume(path, series.volume())
        return file_digest(path)
