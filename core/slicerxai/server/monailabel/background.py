"""MONAI Label's background processes (training, scoring, batch inference)."""

from __future__ import annotations

import logging

from monailabel.utils.async_tasks import utils

from slicerxai.server.problems import TooManyJobsError

logger = logging.getLogger(__name__)

WAITING_TASKS = 8
"""Tasks of one kind that may wait for the one that runs."""
REMEMBERED_TASKS = 50
"""Tasks of one kind whose ends are remembered."""
RETRY_SECONDS = 60


def check_room(method: str, *, enqueue: bool = False) -> None:
    """Forget tasks that ended long ago, and see whether one more may be asked for.

    Args:
        method: "train", "scoring" or "batch_infer".
        enqueue: it may wait for the one that runs.

    Raises `TooManyJobsError`.
    """
    del utils.background_tasks.get(method, [])[: -REMEMBERED_TASKS - WAITING_TASKS]
    executor = utils.background_executors.get(method)
    waiting = 0 if executor is None else executor._work_queue.qsize()
    if waiting >= WAITING_TASKS:
        msg = f"{waiting} tasks of this kind wait already, which is the limit; try again later"
        raise TooManyJobsError(msg, retry_after=RETRY_SECONDS)
    if (utils.processes(method) or waiting) and not enqueue:
        msg = "a task of this kind is at work already; try again when it has ended, or stop it with DELETE"
        raise TooManyJobsError(msg, retry_after=RETRY_SECONDS)


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
