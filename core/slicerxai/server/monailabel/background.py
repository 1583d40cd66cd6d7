"""MONAI Label's background processes (training, scoring, batch inference)."""

from __future__ import annotations

import logging

from monailabel.utils.async_tasks import utils

logger = logging.getLogger(__name__)


def stop_background_tasks() -> None:
    """Kill what runs and forget what waits."""
    for executor in utils.background_executors.values():
        executor.shutdown(wait=False, cancel_futures=True)
    for method, processes in list(utils.background_processes.items()):
        if processes:
            logger.info("stopping %s", method)
            utils.stop_background_task(method)


def scores_now(model: str) -> bool:
    """Whether a scoring task that finds a model's suspicious predictions waits or runs."""
    return any(
        task["status"] in {"SUBMITTED", "RUNNING"}
        and task["request"].get("method") == "quality"
        and task["request"].get("model") == model
        for task in utils.tasks("scoring")
    )
