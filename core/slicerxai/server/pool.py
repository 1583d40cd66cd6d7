"""Jobs run by warm workers: submitting, sharing, cancelling, waiting."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from slicerxai.data.cohort import Cohort
from slicerxai.data.digests import file_digest
from slicerxai.errors import ConflictError
from slicerxai.explain.inputs import MASK, check_environments, cohort_digests, cohort_files, readable
from slicerxai.explain.run import parse_parameters
from slicerxai.models.store import ModelStore, digest
from slicerxai.server import worker
from slicerxai.server.jobs import Job, JobStore, Kind
from slicerxai.server.problems import TooManyJobsError, WorkError, title_of, user_error
from slicerxai.server.results import ResultStore
from slicerxai.server.worker import ExplainWork, Failure, ModelReference, Outcome, Stopped, Success
from slicerxai.server.workers import Workers
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

KILL_SECONDS = 10.0
REMEMBERED_ENDS = 256
"""Jobs whose outcome stays in memory, for those that ask after the job has ended."""


class Pool:
    """The jobs of one server process.

    Several servers may share the folder: each holds a lock while it lives, by which the others know whose jobs were
    left behind. Identical requests share one computation; a finished one is answered from the result store.
    """

    def __init__(
        self,
        folder: Path,
        models: ModelStore,
        *,
        workers: int,
        queue_limit: int,
        explain: Callable[..., Any] = worker.explain,
        warm_up: Callable[[], None] = worker.warm_up,
    ) -> None:
        """Take over the job list and start the workers in the background.

        Args:
            folder: of the job list and the results.
            queue_limit: jobs that may wait for a worker before more are refused.
            explain: called in a worker as `explain(progress, work: ExplainWork)`.
            warm_up: called once in every new worker.
        """
        self.models = models
        self.jobs = JobStore(folder / "jobs.sqlite3")
        self.results = ResultStore(folder / "results")
        self.queue_limit = queue_limit
        self._explain = explain
        self._owner = uuid.uuid4().hex
        self._owners = folder / "servers"
        self._owners.mkdir(exist_ok=True)
        self._alive = FileLock(self._owners / f"{self._owner}.lock", thread_local=False)
        self._alive.acquire()
        self._lock = threading.RLock()
        self._closed = False
        self._computations: dict[str, str] = {}
        self._ends: dict[str, Future[Outcome]] = {}
        self._recover()
        self.workers = Workers(workers, warm_up)

    def explain(
        self,
        method: str,
        image_id: str,
        paths: Mapping[str, Path],
        model: str,
        parameters: Mapping[str, Any],
        request: Mapping[str, Any],
        mask: Path | None = None,
    ) -> Job:
        """Submit an explanation of a case.

        Args:
            paths: image file of each modality.
            request: what the client asked, kept with the job; no file paths.
            mask: file of an expert's mask, for the methods that compare with one.

        Raises:
            InputError, NotFoundError: bad parameters, unknown method or model.
            TooManyJobsError: the queue is full.
        """
        checked, reference = parse_parameters(method, parameters), self.reference(model)
        values = checked.resolved(reference.digest).model_dump(mode="json")
        files = dict(paths) | ({} if mask is None else {MASK: mask})
        digests = {name: file_digest(path) for name, path in files.items()}
        work = ExplainWork(method, values, image_id, dict(paths), digests, reference, self.results.root, mask=mask)
        return self._submit_explanation(work, request)

    def explain_cohort(
        self,
        method: str,
        cohort: Cohort,
        channels: Sequence[str],
        model: str,
        parameters: Mapping[str, Any],
        request: Mapping[str, Any],
    ) -> Job:
        """Submit an explanation of a model on a cohort. Every file that this process does not know yet is hashed first,
        so call it from a thread that may take its time.

        Args:
            channels: modalities that the model needs.
            request: what the client asked, kept with the job; no file paths.

        Raises:
            InputError, NotFoundError: bad parameters, unknown method or model, a cohort that lacks what the model or an
                environment among the parameters needs.
            TooManyJobsError: the queue is full.
        """
        reference = self.reference(model)
        checked = parse_parameters(method, parameters).resolved(reference.digest)
        cohort = readable(cohort, channels)
        check_environments(checked, cohort)
        values, paths, digests = checked.model_dump(mode="json"), cohort_files(cohort), cohort_digests(cohort)
        work = ExplainWork(method, values, cohort.name, paths, digests, reference, self.results.root, cohort)
        return self._submit_explanation(work, request)

    def _submit_explanation(self, work: ExplainWork, request: Mapping[str, Any]) -> Job:
        long = work.cohort is not None
        return self.submit(
            self._explain, work, kind="explain", method=work.method, request=request, key=work.key, long=long
        )

    def infer(self, model: str, paths: Mapping[str, Path], out: Path) -> dict[str, Any]:
        """Segment one case in a worker and wait for it; goes before waiting explanations.

        Args:
            paths: image file of each modality.
            out: the labelmap's file; the suffix names the format.

        Returns:
            "labels" (name to value), "lesions" (number, volume_ml, centroid in RAS mm, voxels, mean_probability),
            "volume_ml", "model_digest" and "seconds".

        Raises:
            UserError: naming the user's fault. WorkError: cancelled, or a fault that is not the user's.
        """
        reference = self.reference(model)
        request = {"images": {modality: path.name for modality, path in paths.items()}, "model": model}
        arguments = (reference, dict(paths), out)
        job = self.submit(worker.infer, *arguments, kind="infer", method="infer", request=request, urgent=True)
        outcome = self.ended(job.id).result()
        if isinstance(outcome, Success):
            report: dict[str, Any] = outcome.value
            return report
        if isinstance(outcome, Failure) and outcome.status < 500:
            raise user_error(outcome.status, outcome.detail)
        raise WorkError(outcome.detail if isinstance(outcome, Failure) else "the inference was cancelled")

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        kind: Kind,
        method: str,
        request: Mapping[str, Any],
        key: str = "",
        urgent: bool = False,
        long: bool = False,
    ) -> Job:
        """Run a picklable `function(progress, *arguments)` in a worker.

        Args:
            key: address of the result that the function stores. With a result there, the job is done at once; with
                another job under way for it, both wait for the same computation.
            urgent: goes before those that wait.
            long: leaves a worker to the others.

        Raises:
            TooManyJobsError: the queue is full.
        """
        job = Job(kind=kind, method=method, request=dict(request), owner=self._owner, key=key)
        with self._lock:
            if key and self.results.has(key):
                now = time.time()
                job = replace(job, state="done", fraction=1.0, message="from the store", started=now, ended=now)
                self.jobs.add(job)
                return job
            shared = self._computations.get(key) if key else None
            if shared is not None:
                job = self._follow(job, shared)
                self._expect(job)
                return job
            if self.workers.waiting >= self.queue_limit:
                msg = f"{self.workers.waiting} jobs wait already, which is the limit; try again later"
                raise TooManyJobsError(msg)
            self.jobs.add(job)
            self._expect(job)
            if key:
                self._computations[key] = job.computation
        future = self.workers.submit(
            job.computation,
            worker.execute,
            self.jobs.path,
            job.computation,
            function,
            arguments,
            urgent=urgent,
            long=long,
        )
        future.add_done_callback(partial(self._finished, job.computation, key))
        return job

    def reference(self, model: str) -> ModelReference:
        """A stored model as it is now. Raises `NotFoundError`."""
        folder = self.models.folder(model)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files)
        return ModelReference(self.models.root, model, _model_digest(folder, stamp))

    def ended(self, job_id: str) -> Future[Outcome]:
        """A future of how the job ends; it never raises, and cancelling it does not stop the job.

        The value of a `Success` is None when the job ended long ago. Raises `NotFoundError`.
        """
        job = self.jobs.get(job_id)
        answer: Future[Outcome] = Future()
        with self._lock:
            end = self._ends.get(job_id)
        if end is not None:
            end.add_done_callback(partial(_pass_on, answer))
        else:
            answer.set_result(_outcome(job))
        return answer

    def cancel(self, job_id: str) -> Job:
        """End a job. The worker process is gone on return, unless another job waits for the same computation.

        Raises `NotFoundError`, and `ConflictError` for a job of another server on the same folder.
        """
        job = self.jobs.get(job_id)
        if job.active and job.owner != self._owner:
            self._recover()
            job = self.jobs.get(job_id)
        if job.active and job.owner != self._owner:
            msg = f"job {job_id} belongs to another server process; ask that one"
            raise ConflictError(msg)
        with self._lock:
            if not self.jobs.cancel(job_id):
                return self.jobs.get(job_id)
            self._end(job_id, Stopped())
            sharers = self.jobs.of_computation(job.computation)
            abandoned = not any(sharer.active for sharer in sharers)
            if abandoned:
                self._computations.pop(job.key, None)
        if abandoned:
            self.workers.cancel(job.computation)
            _wait_for_end_of({sharer.pid for sharer in sharers})
        return self.jobs.get(job_id)

    def remove(self, job_id: str) -> Job:
        """Cancel a job that has not ended; forget one that has, with its result unless another job refers to it.

        Returns the job as it was left. Raises as `cancel` does.
        """
        job = self.jobs.get(job_id)
        if job.active:
            return self.cancel(job_id)
        with self._lock:
            self.jobs.remove(job_id)
            if job.key and not self.jobs.with_key(job.key):
                self.results.remove(job.key)
        return job

    def shutdown(self) -> None:
        """Stop the workers; jobs that have not ended are marked as interrupted. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.workers.shutdown()
        self.jobs.interrupt(self._owner)
        with self._lock:
            left = list(self._ends)
        for job_id in left:
            self._end(job_id, Stopped())
        self.jobs.close()
        self._alive.release()
        Path(self._alive.lock_file).unlink(missing_ok=True)

    def _follow(self, job: Job, computation: str) -> Job:
        """A job that joins a computation under way, at its present progress."""
        leader = next(other for other in self.jobs.of_computation(computation) if other.active)
        job = replace(
            job,
            computation=computation,
            state=leader.state,
            fraction=leader.fraction,
            message=leader.message,
            started=leader.started,
            updated=leader.updated,
            pid=leader.pid,
        )
        self.jobs.add(job)
        return job

    def _finished(self, computation: str, key: str, future: Future[Outcome]) -> None:
        outcome = future.result()
        with self._lock:
            if self._computations.get(key) == computation:
                del self._computations[key]
            ids = [job.id for job in self.jobs.of_computation(computation) if job.active]
            if isinstance(outcome, Success):
                self.jobs.finish(computation, "done", "done")
            elif isinstance(outcome, Failure):
                error = {"status": outcome.status, "title": title_of(outcome.status), "detail": outcome.detail}
                self.jobs.finish(computation, "failed", outcome.detail, error)
            elif self.workers.closing:
                self.jobs.interrupt(self._owner)
            else:
                self.jobs.finish(computation, "cancelled", "cancelled")
        for job_id in ids:
            self._end(job_id, outcome)

    def _expect(self, job: Job) -> None:
        self._ends[job.id] = Future()
        surplus = [job_id for job_id, end in self._ends.items() if end.done()][:-REMEMBERED_ENDS]
        for job_id in surplus:
            del self._ends[job_id]

    def _end(self, job_id: str, outcome: Outcome) -> None:
        with self._lock:
            end = self._ends.get(job_id)
            if end is not None and not end.done():
                end.set_result(outcome)

    def _recover(self) -> None:
        """Mark the jobs of servers that died, and clean up after them."""
        self.results.clean()
        for owner in self.jobs.owners() - {self._owner}:
            path = self._owners / f"{owner}.lock"
            try:
                with FileLock(path, timeout=0):
                    count = self.jobs.interrupt(owner)
            except Timeout:
                continue
            path.unlink(missing_ok=True)
            logger.warning("%d jobs were interrupted when a server stopped; they can be submitted again", count)


def _outcome(job: Job) -> Outcome:
    if job.state == "done":
        return Success(None)
    if job.error is not None:
        return Failure(job.error["status"], job.error["detail"])
    return Stopped()


def _pass_on(answer: Future[Outcome], end: Future[Outcome]) -> None:
    if answer.set_running_or_notify_cancel():
        answer.set_result(end.result())


@lru_cache(maxsize=32)
def _model_digest(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:
    return digest(folder)


def _wait_for_end_of(pids: set[int | None]) -> None:
    deadline = time.monotonic() + KILL_SECONDS
    while any(child.pid in pids for child in multiprocessing.active_children()):
        if time.monotonic() > deadline:
            logger.error("a worker process (%s) did not end within %.0f s", pids, KILL_SECONDS)
            return
        time.sleep(0.02)


_shared_lock = threading.Lock()


def shared_pool() -> Pool:
    """The pool of this process, after the settings; made at the first call and shut down at exit."""
    with _shared_lock:
        return _make_shared_pool()


@lru_cache(maxsize=1)
def _make_shared_pool() -> Pool:
    chosen = settings()
    pool = Pool(chosen.jobs, ModelStore(chosen.models), workers=chosen.workers, queue_limit=chosen.queue_limit)
    atexit.register(pool.shutdown)
    return pool
