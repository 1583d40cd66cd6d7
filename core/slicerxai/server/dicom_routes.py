"""Results back to the DICOMweb server that the images came from."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from slicerxai.errors import ConflictError, InputError
from slicerxai.explain.folder import load
from slicerxai.server.audit import note_study
from slicerxai.server.dicomweb.results import modalities_of, send_result
from slicerxai.server.dicomweb.storing import Outcome, State
from slicerxai.server.explain_routes import PoolOf, finished_key
from slicerxai.server.monailabel.dicom_datastore import DicomDatastore
from slicerxai.server.problems import problem_response
from slicerxai.server.schemas import ExplainRequest
from slicerxai.server.sources import Sources, monai_label_sources

SourcesOf = Annotated[Sources, Depends(monai_label_sources)]

Uid = Annotated[str | None, Query(max_length=64, pattern=r"^[0-9.]+$")]

PROBLEM: dict[str, Any] = {"application/problem+json": {}}
AWAY: dict[int | str, dict[str, Any]] = {
    503: {"description": "The DICOMweb server does not answer", "content": PROBLEM}
}
router = APIRouter(
    tags=["DICOM"], responses={"4XX": {"description": "A problem document (RFC 9457)", "content": PROBLEM}}
)


class ImageView(BaseModel):
    """A series of the DICOMweb server; nothing here tells whose it is."""

    id: str = Field(description="What other routes call `image`.")
    study: str = Field(description="The same for all series of a study.")
    modality: str | None = Field(description="FLAIR, T1, T2, PD or GADO; null when the header does not say so clearly.")
    modality_reason: str
    instances: int | None
    labelled: bool = Field(description="Whether a label of it was submitted.")


class ImagesView(BaseModel):
    """Series of the DICOMweb server."""

    images: list[ImageView]


@router.get(
    "/dicom/images",
    summary="The series of the DICOMweb server, or those of one study or series",
    response_model=ImagesView,
    responses=AWAY,
)
def get_images(sources: SourcesOf, study: Uid = None, series: Uid = None) -> ImagesView:
    """A gateway finds the id of what it knows by StudyInstanceUID or SeriesInstanceUID; the answer has neither."""
    datastore = _of_archive(sources)
    found = {image.id: image for image in datastore.archive.named(study, series)}
    labelled = set(datastore.get_labeled_images())
    views = [
        ImageView(
            id=name,
            study=found[name].study,
            modality=recognised.modality,
            modality_reason=recognised.reason,
            instances=found[name].instances,
            labelled=name in labelled,
        )
        for name, recognised in datastore.archive.sequences(found).items()
    ]
    return ImagesView(images=views)


class InstanceView(BaseModel):
    """What became of one DICOM object."""

    kind: str = Field(description="Its SOP class in words, such as Segmentation Storage.")
    sop_instance_uid: str
    series_instance_uid: str
    state: State = Field(description="present: the server held it before.")
    reason: str = Field(description="Why it failed; empty otherwise.")

    @classmethod
    def of(cls, outcome: Outcome) -> InstanceView:
        return cls(
            kind=outcome.kind,
            sop_instance_uid=outcome.instance,
            series_instance_uid=outcome.series,
            state=outcome.state,
            reason=outcome.reason,
        )


class StoredView(BaseModel):
    """What became of a result."""

    instances: list[InstanceView]


@router.post(
    "/explain/jobs/{job_id}/dicom",
    summary="Store the result of a job on the DICOMweb server",
    response_model=StoredView,
    responses=AWAY
    | {502: {"description": "It refused some; `instances` says which. Send again to complete it", "content": PROBLEM}},
)
def post_dicom(job_id: str, pool: PoolOf, sources: SourcesOf) -> Response:
    """Segmentations, maps, pictures and a report, in the study of the image. Sending again adds nothing."""
    job = pool.jobs.get(job_id)
    key = finished_key(job)
    datastore = _of_archive(sources)
    request = ExplainRequest.model_validate(job.request)
    if request.image is None and request.images is None:
        msg = "the result is not of an image of the DICOMweb server, so it belongs to no study there"
        raise ConflictError(msg)
    try:
        explanation = load(pool.results.existing(key))
    except InputError:
        msg = "the stored result is damaged; delete its jobs and submit the request again"
        raise ConflictError(msg) from None
    modalities = modalities_of(explanation)
    images = request.images or datastore.channels(request.image or "", modalities)
    note_study(images[modalities[0]])
    outcomes = send_result(datastore.archive, explanation, images[modalities[0]])
    views = [InstanceView.of(one).model_dump() for one in outcomes]
    failed = [one for one in outcomes if one.state == "failed"]
    if failed:
        detail = f"the DICOMweb server refused {len(failed)} of {len(outcomes)} objects: {failed[0].reason}"
        return problem_response(HTTPStatus.BAD_GATEWAY, detail, instances=views)
    return JSONResponse({"instances": views})


def _of_archive(sources: Sources) -> DicomDatastore:
    if not isinstance(sources.datastore, DicomDatastore):
        msg = "the studies are a folder, not a DICOMweb server's; start with: slicerxai serve https://HOST/dicom-web"
        raise ConflictError(msg)
    return sources.datastore
