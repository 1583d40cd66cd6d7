"""One MONAI Label infer task for each stored model, looked up afresh: a model trained meanwhile needs no restart."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from slicerxai.errors import InputError
from slicerxai.models.store import ModelStore
from slicerxai.server.inference import infer
from slicerxai.server.pool import shared_pool

RESULT_SUFFIXES = (".nii.gz", ".nrrd")


class StoredModelTask(InferTask):
    """Segments one image in a warm worker process, where the model stays loaded."""

    def __init__(self, name: str, description: Mapping[str, Any]) -> None:
        labels = {label: index for index, label in enumerate(description["labels"]) if index > 0}
        channels = tuple(description["channels"])
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=labels,
            dimension=3,
            description=f"{description['kind']} model {name!r}, reads {', '.join(channels)}",
            config={"result_extension": list(RESULT_SUFFIXES)},
        )
        self.name = name
        self.channels = channels

    def is_valid(self) -> bool:
        return True

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Segment the image files that the request names.

        Args:
            request: "paths" holds the image file of each modality; "result_extension" one of `RESULT_SUFFIXES`.

        Returns:
            The labelmap's file (uint8, on the image's own grid), which is the caller's to remove, and what the worker
            reports with the time taken in s.
        """
        suffix = result_suffix(request.get("result_extension"))
        started = time.perf_counter()
        with tempfile.NamedTemporaryFile(prefix="slicerxai-", suffix=suffix, delete=False) as file:
            out = Path(file.name)
        try:
            report = infer(shared_pool(), self.name, dict(request["paths"]), out)
        except BaseException:
            out.unlink(missing_ok=True)
            raise
        result = {"label_names": self.labels, "model": self.name, **report}
        result["latencies"] = {"total": round(time.perf_counter() - started, 3)}
        return str(out), result


class StoredModels(Mapping[str, InferTask]):
    """The infer tasks of the segmenters by model name."""

    def __init__(self, store: ModelStore) -> None:
        self.store = store

    def __getitem__(self, name: str) -> InferTask:
        if name not in segmenters(self.store):
            raise KeyError(name)
        return StoredModelTask(name, self.store.describe(name))

    def __iter__(self) -> Iterator[str]:
        return iter(segmenters(self.store))

    def __len__(self) -> int:
        return len(segmenters(self.store))


def classifiers(store: ModelStore) -> list[str]:
    """Names of the stored models that classify whole images. A model that cannot be read is none."""

    def classifies(name: str) -> bool:
        try:
            return bool(store.describe(name)["kind"] == "classifier")
        except InputError:
            return False

    return [name for name in store.names() if classifies(name)]


def segmenters(store: ModelStore) -> list[str]:
    """Names of the stored models that draw masks."""
    found = classifiers(store)
    return [name for name in store.names() if name not in found]


def result_suffix(value: object) -> str:
    """The suffix of the result file; a list (as MONAI Label's clients show choices) means its first entry."""
    if isinstance(value, list) and value:
        value = value[0]
    if value is None or value == "":
        return RESULT_SUFFIXES[0]
    if value not in RESULT_SUFFIXES:
        msg = f"bad result_extension {value!r}; accepted are {', '.join(RESULT_SUFFIXES)}"
        raise InputError(msg)
    return str(value)
