"""The routes of the worklist, beside the explain routes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from monailabel.config import settings as monailabel_settings
from monailabel.endpoints.user.auth import RBAC

from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.server.monailabel.background import scores_now
from slicerxai.server.pool import Pool, shared_pool
from slicerxai.server.sources import Sources, monai_label_sources
from slicerxai.server.worklist_schemas import Item, ReviewRequest, Worklist
from slicerxai.server.worklists import Worklists
from slicerxai.settings import settings

ModelName = Annotated[str | None, Query(max_length=256, description="Not needed when there is just one model.")]

router = APIRouter(
    prefix="/explain/worklist",
    tags=["Explain"],
    dependencies=[Depends(RBAC(monailabel_settings.MONAI_LABEL_AUTH_ROLE_USER))],
    responses={"4XX": {"description": "A problem document (RFC 9457)", "content": {"application/problem+json": {}}}},
)


def server_worklists(
    pool: Annotated[Pool, Depends(shared_pool)], sources: Annotated[Sources, Depends(monai_label_sources)]
) -> Worklists:
    """The worklists over MONAI Label's datastore."""
    return Worklists(pool.models, lambda name: pool.reference(name).digest, sources, AlarmStore(settings().alarms))


WorklistsOf = Annotated[Worklists, Depends(server_worklists)]


@router.get("", summary="Images by how likely the predictions are wrong, with reasons and reviews")
def get_worklist(worklists: WorklistsOf, model: ModelName = None) -> Worklist:
    """`POST /scoring/quality` fills it."""
    return worklists.view(model, scoring=scores_now)


@router.put("/{image}", summary="Accept, correct or mark wrong what a model predicts for an image")
def put_review(image: str, body: ReviewRequest, worklists: WorklistsOf) -> Item:
    """The image with the review; an earlier one is replaced. 409 when the model was replaced since it was read."""
    return worklists.decide(image, body)


@router.delete("/{image}", summary="Undo a review")
def delete_review(image: str, worklists: WorklistsOf, model: ModelName = None) -> Item:
    """The image without the review."""
    return worklists.undo(image, model)
