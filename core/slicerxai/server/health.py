"""Routes for those who keep the server running: whether it lives, whether it can work, its figures."""

from __future__ import annotations

import logging
import threading
import time

import anyio
import anyio.to_thread
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel

from slicerxai.server import conditions, metrics
from slicerxai.server.conditions import Condition
from slicerxai.server.pool import shared_pool
from slicerxai.server.problems import problem_response

KEPT_SECONDS = 2.0
"""How old an answer about the conditions may be: looking writes to the disks."""

logger = logging.getLogger(__name__)

router = APIRouter(tags=["Operations"])
_threads = anyio.CapacityLimiter(4)  # of its own: health answers while the threads of all other routes are taken
_lock = threading.Lock()
_found: tuple[float, list[Condition]] = (-KEPT_SECONDS, [])


class ConditionView(BaseModel):
    """One thing that the server needs; `detail` says what is wrong with it."""

    name: str
    ok: bool
    detail: str


class Readiness(BaseModel):
    """All of them."""

    ready: bool
    conditions: list[ConditionView]


@router.get("/health/live", summary="Whether the process answers")
async def get_live() -> dict[str, bool]:
    """Restart the server when this does not answer."""
    return {"live": True}


@router.get(
    "/health/ready",
    summary="Whether the server can work",
    response_model=Readiness,
    responses={503: {"description": "It cannot; the conditions say why", "content": {"application/problem+json": {}}}},
)
async def get_ready() -> Response:
    """Send clients elsewhere while this answers 503. It says why, without paths and names."""
    found = await anyio.to_thread.run_sync(_conditions, limiter=_threads)
    views = [ConditionView(name=one.name, ok=one.ok, detail=one.detail).model_dump() for one in found]
    faults = [one.detail for one in found if not one.ok]
    if faults:
        return problem_response(503, "; ".join(faults), {"Retry-After": "5"}, ready=False, conditions=views)
    return JSONResponse({"ready": True, "conditions": views})


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def get_metrics() -> Response:
    """Text in Prometheus' format."""
    content = await anyio.to_thread.run_sync(_figures, limiter=_threads)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


def _tell(before: list[Condition], now: list[Condition]) -> None:
    """A line when something breaks or is well again, not one for each time that somebody asks."""
    were = {one.name: one.ok for one in before}
    for one in now:
        if one.ok and not were.get(one.name, True):
            logger.warning("condition %s: well again", one.name)
        if not one.ok and were.get(one.name, True):
            logger.error("condition %s: %s", one.name, one.detail)


def _figures() -> bytes:
    return metrics.exposition(shared_pool(), _conditions())


def _conditions() -> list[Condition]:
    """What was found at most `KEPT_SECONDS` ago; those who ask at one time share one look."""
    global _found  # noqa: PLW0603
    with _lock:
        at, found = _found
        if time.monotonic() - at > KEPT_SECONDS:
            before, found = found, conditions.conditions()
            _found = (time.monotonic(), found)
            _tell(before, found)
        return found
