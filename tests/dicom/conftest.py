"""A hospital in small: a real Orthanc with two studies, and the real server on its DICOMweb routes."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from slicerxai.data.volume import Volume
from slicerxai.dicom.example import Patient, example_study
from tests.conftest import OBLIQUE_LEFT_HANDED, spotted_brain
from tests.support.orthanc import Orthanc
from tests.support.server import FRUGAL, Server

PATIENTS = (
    Patient(name="Zwetschgenberger^Kunigunde", id="PID-7734-XQ", birth_date="19630417", sex="F"),
    Patient(name="Übelhör^Балашов", id="PID-9921-WK", birth_date="19711130", sex="M"),
)
USER, PASSWORD = "slicerxai", "correct horse battery"


@dataclass
class Hospital:
    orthanc: Orthanc
    server: Server
    images: dict[str, Volume]
    masks: dict[str, Volume]

    def image(self, study: Dataset | str, modality: str) -> str:
        """The server's id of a series, as a gateway asks for it."""
        uid = study if isinstance(study, str) else str(study.StudyInstanceUID)
        answer = self.server.request("GET", "/dicom/images", params={"study": uid})
        assert answer.ok, answer.text
        found = [one["id"] for one in answer.json()["images"] if one["modality"] == modality]
        assert len(found) == 1, answer.text
        return found[0]


def study_of(number: int) -> tuple[list[Dataset], Volume, Volume]:
    """FLAIR and T1 of a patient, the FLAIR's volume and the mask of its spots."""
    image, mask = spotted_brain(seed=40 + number)
    affine = OBLIQUE_LEFT_HANDED if number == 0 else image.affine
    flair = Volume(np.rint(image.array).clip(0).astype(np.uint16), affine)
    t1 = Volume(np.rint(300 - image.array).clip(0).astype(np.uint16), affine)
    made = example_study({"FLAIR": flair, "T1": t1}, PATIENTS[number], seed=f"hospital {number}")
    return made, flair, Volume(mask.array, affine)


def serve(root: Path, home: Path, orthanc: Orthanc, **environment: str) -> Server:
    """`slicerxai serve` on the DICOMweb routes of an Orthanc, with the credentials in a file."""
    credentials = root / "credentials"
    root.mkdir(parents=True, exist_ok=True)
    credentials.write_text(f"{USER}:{PASSWORD}\n")
    credentials.chmod(0o600)
    command = [sys.executable, "-m", "slicerxai.cli.main", "serve", orthanc.url]
    return Server(
        root,
        home,
        command,
        **FRUGAL,
        SLICERXAI_DICOM_CREDENTIALS=str(credentials),
        SLICERXAI_DICOM_TIMEOUT="5",
        **environment,
    )


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory, tiny_home: Path) -> Iterator[Hospital]:
    """Two studies in Orthanc, a model of FLAIR images on the server."""
    root = tmp_path_factory.mktemp("hospital")
    shutil.copytree(tiny_home / "models", root / "home" / "models")
    with Orthanc(root / "orthanc", (USER, PASSWORD)) as orthanc:
        images, masks = {}, {}
        for number in range(len(PATIENTS)):
            made, flair, mask = study_of(number)
            orthanc.send(made)
            uid = str(made[0].StudyInstanceUID)
            images[uid], masks[uid] = flair, mask
        with serve(root, root / "home", orthanc) as server:
            yield Hospital(orthanc, server, images, masks)
