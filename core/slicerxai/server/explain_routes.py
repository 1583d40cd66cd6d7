"""The routes below `/explain`: catalogue, submitting, jobs, results. Meant to stand beside MONAI Label's own."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, Response
from monailabel.config import settings
from monailabel.endpoints.user.auth import RBAC

from slicerxai import __version__
from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.explain import registry
from slicerxai.explain.folder import write_parts
from slicerxai.explain.inputs import check_sequence
from slicerxai.explain.multipart import body_of_folder
from slicerxai.models.store import ModelStore
from slicerxai.server.audit import note_study
from slicerxai.server.cohorts import Cohorts, server_cohorts
from slicerxai.server.jobs import Job
from slicerxai.server.pool import Pool, shared_pool
from slicerxai.server.problems import problem_response
from slicerxai.server.sample import Sample, server_sample
from slicerxai.server.schemas import (
    SOURCES,
    Catalogue,
    CohortCasesView,
    CohortsView,
    ExplainRequest,
    JobView,
    MethodView,
    ModelView,
)
from slicerxai.server.sources import Sources, monai_label_sources
from slicerxai.server.streaming import FilesResponse

LISTED_JOBS = 200
DISCONNECT_SECONDS = 1.0
_submitters = anyio.CapacityLimiter(4)
"""Images are hashed when they are submitted: gigabytes, for which short requests need not wait."""

PoolOf = Annotated[Pool, Depends(shared_pool)]
SourcesOf = Annotated[Sources, Depends(monai_label_sources)]
SampleOf = Annotated[Sample, Depends(server_sample)]
CohortsOf = Annotated[Cohorts, Depends(server_cohorts)]
VOLUMES = "application/octet-stream"
PARTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All parts, or the one that was asked for",
        "content": {"multipart/form-data": {}, "application/json": {}, "image/png": {}, VOLUMES: {}},
    }
}
Names = Annotated[list[Annotated[str, Query(max_length=256)]] | None, Query(max_length=64)]

router = APIRouter(
    prefix="/explain",
    tags=["Explain"],
    dependencies=[Depends(RBAC(settings.MONAI_LABEL_AUTH_ROLE_USER))],
    responses={"4XX": {"description": "A problem document (RFC 9457)", "content": {"application/problem+json": {}}}},
)


@router.get("/", summary="Methods with the schema of their parameters, and models")
def get_catalogue(pool: PoolOf) -> Catalogue:
    """What this server can explain."""
    methods = [
        MethodView(
            name=entry.name,
            subject=entry.subject,
            title=entry.title,
            summary=entry.summary,
            parameters=registry.parameters_class(entry.name).model_json_schema(),
        )
        for entry in registry.METHODS.values()
    ]
    models, unusable = _models(pool.models)
    return Catalogue(version=__version__, methods=methods, models=models, unusable=unusable)


@router.get("/cohorts", summary="The cohorts, with what an environment can select on")
def get_cohorts(cohorts: CohortsOf) -> CohortsView:
    """What the methods of cohorts can be asked about."""
    return cohorts.views()


@router.get("/cohorts/{cohort}", summary="The cases of a cohort with their metadata, modalities and raters")
def get_cohort(cohort: str, cohorts: CohortsOf) -> CohortCasesView:
    """What a client needs to count the cases of an environment."""
    return cohorts.cases(cohort)


@router.get(
    "/cohorts/{cohort}/cases/{case:path}",
    summary="Images and masks of a case: multipart, as results are",
    response_class=Response,
    responses={200: {"description": "All parts", "content": {"multipart/form-data": {}}}},
)
def get_case(cohort: str, case: str, cohorts: CohortsOf, modality: Names = None, rater: Names = None) -> Response:
    """Part "params" is JSON and says which part is which modality or rater; the volumes are NRRD. By default all."""
    packed = tempfile.TemporaryDirectory(prefix="slicerxai-")
    try:
        write_parts(cohorts.volumes(cohort, case, modality, rater), Path(packed.name))
        return FilesResponse(body_of_folder(Path(packed.name)), packed.cleanup)
    except BaseException:
        packed.cleanup()
        raise


@router.get(
    "/sample",
    summary="A synthetic case with two modalities and the masks of seven raters: multipart, as a cohort's case is",
    response_class=Response,
    responses={200: {"description": "All parts", "content": {"multipart/form-data": {}}}},
)
def get_sample(sample: SampleOf) -> Response:
    """For a newcomer without images. It takes some seconds when it is first asked for."""
    return FilesResponse(sample.body())


@router.get("/jobs", summary="The newest jobs, newest first")
def get_jobs(pool: PoolOf, limit: Annotated[int, Query(ge=1, le=LISTED_JOBS)] = LISTED_JOBS) -> list[JobView]:
    """All jobs, of this and earlier runs of the server."""
    return [JobView.of(job) for job in pool.jobs.newest(limit)]


@router.get("/jobs/{job_id}", summary="State, fraction, message and time left of a job")
def get_job(job_id: str, pool: PoolOf) -> JobView:
    """One job."""
    return JobView.of(pool.jobs.get(job_id))


@router.get(
    "/jobs/{job_id}/result",
    summary="The explanation: multipart, or one part alone",
    response_class=Response,
    responses=PARTS,
)
def get_result(job_id: str, pool: PoolOf, part: Annotated[str | None, Query(max_length=200)] = None) -> Response:
    """Part "params" is JSON, the overlays are NRRD, "NAME.png" the figures."""
    return _result(pool, pool.jobs.get(job_id), part)


@router.get("/jobs/{job_id}/report", summary="The explanation as one HTML page", response_class=HTMLResponse)
def get_report(job_id: str, pool: PoolOf) -> Response:
    """One self-contained page."""
    key = finished_key(pool.jobs.get(job_id))
    try:
        return HTMLResponse(pool.results.report(key))
    except InputError:
        raise _damaged() from None


@router.delete("/jobs/{job_id}", summary="Stop a job, or remove an ended one with its result")
def delete_job(job_id: str, pool: PoolOf) -> JobView:
    """The job as it was left. The worker process of a stopped job is gone when this answers."""
    return JobView.of(pool.remove(job_id))


@router.post(
    "/{method}",
    summary="Explain an image, or a model on a cohort",
    status_code=HTTPStatus.ACCEPTED,
    response_model=JobView,
    responses={200: {"description": "The result, with wait=true", "content": {"multipart/form-data": {}}}},
)
async def post_explain(
    method: str,
    body: ExplainRequest,
    request: Request,
    pool: PoolOf,
    sources: SourcesOf,
    cohorts: CohortsOf,
    wait: bool = False,
) -> Response:
    """Submit a job; with `wait`, answer with its result. A client that goes away meanwhile does not stop the job."""
    submit = partial(_submit, pool, sources, cohorts, method, body)
    job = await anyio.to_thread.run_sync(submit, limiter=_submitters)
    headers = {"Location": f"{request.scope.get('root_path', '')}{router.prefix}/jobs/{job.id}"}
    if not wait:
        content = JobView.of(job).model_dump(mode="json")
        return JSONResponse(content, HTTPStatus.ACCEPTED, headers=headers)
    ended = asyncio.wrap_future(await run_in_threadpool(pool.ended, job.id))
    while not (await asyncio.wait({ended}, timeout=DISCONNECT_SECONDS))[0]:
        if await request.is_disconnected():
            return Response(status_code=HTTPStatus.NO_CONTENT)
    response = await run_in_threadpool(_ended_job, pool, job.id)
    response.headers.update(headers)
    return response


def _submit(pool: Pool, sources: Sources, cohorts: Cohorts, method: str, body: ExplainRequest) -> Job:
    for name in body.studies():
        note_study(name)
    if method not in registry.METHODS:
        msg = f"unknown method {method!r}; known: {', '.join(sorted(registry.METHODS))}"
        raise NotFoundError(msg, accepted=sorted(registry.METHODS))
    _check_subject(method, body)
    try:
        model = pool.models.resolve(body.model)
    except (InputError, NotFoundError) as error:
        raise type(error)(str(error), accepted=pool.models.names()) from None
    channels = _view(pool.models, model).channels
    _check_sequence(method, body, channels)
    request = body.model_dump(exclude_none=True) | {"model": model}
    compares = registry.entry(method).mask
    if body.cohort is not None and body.case is not None:
        paths = cohorts.images(body.cohort, body.case, channels)
        mask = cohorts.mask(body.cohort, body.case) if compares else None
        sequence = sources.sequence(body)
        return pool.explain(
            method, f"{body.cohort}/{body.case}", paths, model, body.parameters, request, mask, sequence
        )
    if body.cohort is not None:
        return pool.explain_cohort(method, cohorts.read(body.cohort), channels, model, body.parameters, request)
    image_id, paths = sources.resolve(body, channels)
    mask = sources.mask(body, channels) if compares else None
    sequence = sources.sequence(body)
    return pool.explain(method, image_id, paths, model, body.parameters, request, mask, sequence)


def _check_subject(method: str, body: ExplainRequest) -> None:
    subject = registry.entry(method).subject
    accepted = SOURCES[subject]
    if body.case is not None:
        if subject != "case":
            msg = f"method {method!r} explains a {subject}: give {' or '.join(accepted)} without a case"
            raise InputError(msg, accepted=accepted)
        return
    if all(getattr(body, name) is None for name in accepted):
        given = next(name for names in SOURCES.values() for name in names if getattr(body, name) is not None)
        hint = "; or one case of it, with case" if given == "cohort" else ""
        msg = f"method {method!r} explains a {subject}: give {' or '.join(accepted)}, not {given}{hint}"
        raise InputError(msg, accepted=accepted)


def _check_sequence(method: str, body: ExplainRequest, channels: Sequence[str]) -> None:
    if body.sequence and not registry.entry(method).sequence:
        msg = f"method {method!r} follows no sequence of images; leave sequence out"
        raise InputError(msg)
    check_sequence(body.sequence or (), channels)


def _ended_job(pool: Pool, job_id: str) -> Response:
    job = pool.jobs.get(job_id)
    if job.state == "failed" and job.error is not None:
        return problem_response(job.error["status"], job.error["detail"], title=job.error["title"], job=job_id)
    return _result(pool, job, None)


def _result(pool: Pool, job: Job, part: str | None) -> Response:
    folder = pool.results.existing(finished_key(job))
    try:
        return FilesResponse(body_of_folder(folder, part))
    except (InputError, OSError):
        raise _damaged() from None


def finished_key(job: Job) -> str:
    """Address of a job's result. Raises `ConflictError` without one yet, `NotFoundError` for an inference."""
    if job.state != "done":
        reason = f" ({job.message})" if job.state in {"failed", "interrupted"} else ""
        msg = f"job {job.id} is {job.state}{reason}, so there is no result"
        raise ConflictError(msg)
    if not job.key:
        msg = f"job {job.id} is an inference, whose result went to the client that asked for it"
        raise NotFoundError(msg)
    return job.key


def _damaged() -> ConflictError:
    return ConflictError("the stored result is damaged; delete its jobs and submit the request again")


def _models(store: ModelStore) -> tuple[list[ModelView], dict[str, str]]:
    models, unusable = [], {}
    for name in store.names():
        try:
            models.append(_view(store, name))
        except InputError as error:
            unusable[name] = str(error)
    return models, unusable


def _view(store: ModelStore, name: str) -> ModelView:
    try:
        description = store.describe(name)
        return ModelView(name=name, **{field: description[field] for field in ("kind", "channels", "labels")})
    except (ValueError, KeyError, TypeError) as error:
        msg = f"model.json of model {name!r} is damaged ({type(error).__name__}); train the model again"
        raise InputError(msg) from None
