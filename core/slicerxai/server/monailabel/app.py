"""The MONAI Label app: infer, train, scoring and next-sample tasks over the model store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from slicerxai import __version__
from slicerxai.errors import InputError, NotFoundError
from slicerxai.models.store import ModelStore, digest
from slicerxai.models.training import SEGMENTERS
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.server.dicomweb.access import is_url
from slicerxai.server.dicomweb.archive import archive_of
from slicerxai.server.logs import redaction
from slicerxai.server.monailabel.aligned_training import TrainOnLesions
from slicerxai.server.monailabel.batch import BatchInfer
from slicerxai.server.monailabel.datastore import harden
from slicerxai.server.monailabel.dicom_datastore import DicomDatastore
from slicerxai.server.monailabel.image_files import channel_paths
from slicerxai.server.monailabel.models import StoredModels, StoredModelTask, classifiers
from slicerxai.server.monailabel.quality import Quality
from slicerxai.server.monailabel.random_sampling import AnyUnlabelled
from slicerxai.server.monailabel.review_training import TrainOnReviews
from slicerxai.server.monailabel.sampling import UncertaintyFirst
from slicerxai.server.monailabel.scoring import Agreement
from slicerxai.server.monailabel.sessions import WholeSessions
from slicerxai.server.monailabel.suspicion import SuspicionFirst
from slicerxai.server.monailabel.training import TrainOnLabels
from slicerxai.server.monailabel.uncertainty import predicted_entropy
from slicerxai.server.schemas import ExplainRequest
from slicerxai.server.sources import sources_of
from slicerxai.server.worklists import Worklists
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

NO_MODEL = "no model yet; train one with: slicerxai train fast COHORT"


class SlicerXAIApp(MONAILabelApp):
    """What MONAI Label's clients see. Only ids of the datastore and of sessions name images, never paths."""

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        self.store = ModelStore(settings().models)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="SlicerXAI",
            description="Segmentation of brain lesions, with explanations at /explain/",
            version=__version__,
        )
        if not self.store.names():
            logger.warning(NO_MODEL)

    def init_datastore(self) -> Datastore:
        if is_url(self.studies):
            archive = archive_of(self.studies)
            archive.last_listing()  # already asks
            return DicomDatastore(archive)
        datastore = super().init_datastore()
        if isinstance(datastore, LocalDatastore):
            harden(datastore)
            redaction.follow(datastore.list_images)
        return datastore

    def _load_sessions(self, load: bool = False) -> WholeSessions | None:
        from monailabel.config import settings as monailabel_settings

        if not load:
            return None
        return WholeSessions(
            monailabel_settings.MONAI_LABEL_SESSION_PATH, monailabel_settings.MONAI_LABEL_SESSION_EXPIRY
        )

    def init_infers(self) -> Mapping[str, InferTask]:
        return StoredModels(self.store)

    def init_trainers(self) -> dict[str, TrainTask]:
        tasks: dict[str, TrainTask] = {kind: TrainOnLabels(kind, self.store) for kind in SEGMENTERS}
        return tasks | {
            "classifier": TrainOnReviews(self.store, self.worklists),
            "aligned": TrainOnLesions(self.store, self.worklists),
        }

    def init_strategies(self) -> dict[str, Strategy]:
        return {
            "random": AnyUnlabelled(),
            "uncertainty": UncertaintyFirst(self.store, self.uncertainty),
            "suspicion": SuspicionFirst(self.worklists),
        }

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        return {"agreement": Agreement(), "quality": Quality(self.worklists)}

    def init_batch_infer(self) -> BatchInfer:
        return BatchInfer()

    def model_task(self, name: object) -> StoredModelTask:
        """The infer task of a stored model. Raises `NotFoundError` that says what to type."""
        if not self.store.names():
            raise NotFoundError(NO_MODEL)
        if isinstance(name, str) and name in classifiers(self.store):
            msg = f"model {name!r} classifies whole images and draws no mask; POST /explain/quality tells what it finds"
            raise InputError(msg)
        task = self._infers.get(name) if isinstance(name, str) else None
        if not isinstance(task, StoredModelTask):
            msg = f"no model {name!r}; known: {', '.join(self.store.names())}"
            raise NotFoundError(msg)
        return task

    def infer(self, request: Mapping[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Segment an image of the datastore or of a session.

        Args:
            request: "model"; "image", an id of the datastore, or "session", the information of a session; optionally
                "result_extension", "save_label" and "label_tag".

        Returns:
            "file", the labelmap; "label", its id in the datastore when saved; "tag"; "params", the report.
        """
        datastore = datastore or self.datastore()
        task = self.model_task(request.get("model"))
        session = request.get("session")
        named = ExplainRequest(session=session["name"]) if session else ExplainRequest(image=str(request.get("image")))
        _, paths = sources_of(self, datastore).resolve(named, task.channels)
        file, params = task({**request, "paths": paths})
        tag = str(request.get("label_tag") or DefaultLabelTag.ORIGINAL.value)
        label = file
        if request.get("save_label") is True and not session:
            label = datastore.save_label(str(request["image"]), file, tag, {"model": task.name, "params": params})
        return {"label": label, "tag": tag, "file": file, "params": params}

    def worklists(self) -> Worklists:
        """The worklists over the datastore."""
        return Worklists(self.store, self._digest, sources_of(self), AlarmStore(settings().alarms))

    def _digest(self, model: str) -> str:
        return digest(self.store.folder(model))

    def uncertainty(self, model: str, image: str) -> float:
        """Mean entropy of the predicted probability of one image, nats."""
        paths = channel_paths(self.datastore(), image, self.model_task(model).channels)
        return predicted_entropy(self.store, model, image, paths)

    def model_info(self, model: str) -> dict[str, Any] | None:
        """Digest and time of a stored model."""
        if model not in self.store.names():
            return None
        description = self.store.folder(model) / "model.json"
        return {
            "checksum": f"SHA256:{self._digest(model)}",
            "modified_time": int(description.stat().st_mtime),
            "train_stats": self.store.describe(model).get("provenance", {}),
        }
