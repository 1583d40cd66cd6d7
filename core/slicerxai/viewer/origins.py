"""Where a volume of the scene comes from, and so what is sent when it shall be explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from XAICohortLib.case_node import CaseNode, case_nodes
from XAICohortLib.sources import SERVER
from XAILib.client import Client, OnProgress
from XAILib.errors import Stopped
from XAILib.result import Result
from XAILib.run import run_explanation
from XAILib.stopping import Stop
from XAIPanels.export import Snapshot, snapshot, write

_STUDY, _SERVER = "slicerxai.Study", "slicerxai.Server"


@dataclass(frozen=True)
class Source:
    """What a job is asked of.

    Attributes:
        named: the image as the server knows it; empty when it is sent.
        sent: a copy of the volume; None when the server has the image.
    """

    named: Mapping[str, Any]
    sent: Snapshot | None


def mark_study(volume: Any, server: str, study: str) -> None:
    """Remember that a volume is a server's study."""
    volume.SetAttribute(_SERVER, server)
    volume.SetAttribute(_STUDY, study)


def study_of(volume: Any, server: str) -> str:
    """The id of the study on that server; empty when the volume is none of its studies."""
    return str(volume.GetAttribute(_STUDY) or "") if volume.GetAttribute(_SERVER) == server else ""


def case_of(scene: Any, volume: Any) -> CaseNode | None:
    """The opened case that an image belongs to."""
    found = (CaseNode(node) for node in case_nodes(scene))
    return next((case for case in found if volume in case.images.values()), None)


def source_of(scene: Any, volume: Any, server: str, channels: tuple[str, ...]) -> Source:
    """What is asked of a server about a volume.

    Args:
        channels: modalities that the model needs; empty while unknown.

    Raises:
        ExportError: why the volume cannot be sent, in words.
    """
    if study := study_of(volume, server):
        return Source({"image": study}, None)
    case = case_of(scene, volume)
    if case is not None and case.origin.kind == SERVER:
        return Source({"cohort": case.origin.cohort, "case": case.origin.case}, None)
    return Source({}, snapshot(volume, channels[0] if channels else "image"))


def ask_of(
    client: Client,
    method: str,
    source: Source,
    model: str | None,
    parameters: Mapping[str, Any],
    stop: Stop,
    progress: OnProgress,
) -> Result:
    """The result of a method; in any thread.

    Raises:
        SceneError: the volume cannot be sent, in words. ServerError, Stopped: see `run_explanation`.
    """
    if source.sent is None:
        return run_explanation(client, method, source.named, model, parameters, stop, progress)
    with TemporaryDirectory(prefix="xai-") as folder:
        progress(0.0, "Preparing the image", None)
        files = [write(source.sent, Path(folder))]
        if stop.is_set():
            raise Stopped
        return run_explanation(client, method, {"files": files}, model, parameters, stop, progress)
