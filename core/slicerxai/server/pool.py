"""Jobs run by warm workers: submitting, sharing, cancelling, waiting."""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from slicerxai.data.cohort import Cohort
from slicerxai.data.digests import file_digest
from slicerxai.errors import ConflictError
from slicerxai.explain.inputs import case_files, check_environments, cohort_digests, cohort_files, readable
from slicerxai.explain.run import parse_parameters
from slicerxai.models.store import ModelStore, digest
from slicerxai.server import worker
from slicerxai.server.clients import current_client
from slicerxai.server.inference import SharedLabelmaps
from slicerxai.server.jobs import INTERRUPTED, Job, JobStore, Kind
from slicerxai.server.owners import Owner
from slicerxai.server.problems import TooManyJobsError, title_of
from slicerxai.server.results import ResultStore
from slicerxai.server.worker import ExplainWork, Failure, ModelReference, Outcome, Stopped, Success
from slicerxai.server.workers import Lane, Workers
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

KILL_SECONDS = 10.0
REMEMBERED_ENDS = 256
"""Jobs whose outcome stays in memory, for those that ask after the job has ended."""
UNENDED_JOBS = 16
"""So many times the queue's places are the jobs that may be under way, those included that share a computation."""


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
            queue_limit: jobs that may wait for a worker in each lane before more are refused.
            explain: called in a worker as `explain(progress, work: ExplainWork)`.
            warm_up: called once in every new worker.
        """
        self._owner = Owner(folder / "servers")
        self.models = models
        self.jobs = JobStore(folder / "jobs.sqlite3", remembers=True)
        self.results = ResultStore(folder / "results", clean=self._owner.alone())
        self.labelmaps = SharedLabelmaps(self.results.root)
        self.queue_limit = queue_limit
        self._explain = explain
        self._lock = threading.RLock()
        self._closed = False
        self._computations: dict[str, str] = {}
        self._ends: dict[str, Future[Outcome]] = {}
        self._recover()
        self.workers = Workers(workers, warm_up, queue_limit)

    def explain(
        self,
        method: str,
        image_id: str,
        paths: Mapping[str, Path],
        model: str,
        parameters: Mapping[str, Any],
        request: Mapping[str, Any],
        mask: Path | None = None,
        sequence: tuple[Path, ...] = (),
    ) -> Job:
        """Submit an explanation of a case.

        Args:
            paths: image file of each modality.
            request: what the client asked, kept with the job; no file paths.
            mask: file of an expert's mask, for the methods that compare with one.
            sequence: files of images that were recorded one after the other, for the methods that follow them.

        Raises:
            InputError, NotFoundError: bad parameters, unknown method or model.
            TooManyJobsError: the queue is full.
        """
        checked, reference = parse_parameters(method, parameters), self.reference(model)
        values = checked.resolved(reference.digest).model_dump(mode="json")
        digests = {name: file_digest(path) for name, path in case_files(paths, mask, sequence).items()}
        results = self.results.root
        work = ExplainWork(
            method, values, image_id, dict(paths), digests, reference, results, mask=mask, sequence=sequence
        )
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
        lane: Lane = "case" if work.cohort is None else "cohort"
        return self.submit(
            self._explain, work, kind="explain", method=work.method, request=request, key=work.key, lane=lane
        )

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        kind: Kind,
        method: str,
        request: Mapping[str, Any],
        key: str = "",
        share: str = "",
        lane: Lane = "case",
    ) -> Job:
        """Run a picklable `function(progress, *arguments)` in a worker, for the client whose request this is.

        Args:
            key: address of the result that the function stores. With a result there, the job is done at once.
            share: with another job under way for it, both wait for the same computation; `key` by default.

        Raises:
            TooManyJobsError: the queue, or the client's share of it, is full.
        """
        share, client = share or key, current_client()
        self.results.drop_damaged(key)
        job = Job(kind=kind, method=method, request=dict(request), owner=self._owner.id, key=key)
        with self._lock:
            if key and self.results.has(key):
                now = time.time()
                job = replace(job, state="done", fraction=1.0, message="from the store", started=now, ended=now)
                self.jobs.add(job)
                return job
            self._check_unended()
            shared = self._computations.get(share) if share else None
            if shared is not None:
                job = self._follow(job, shared)
                self._expect(job)
                return job
            self.workers.check_room(lane, client)
            self.jobs.add(job)
            self._expect(job)
            if share:
                self._computations[share] = job.computation
        future = self.workers.submit(
            job.computation,
            worker.execute,
            self.jobs.path,
            job.computation,
            function,
            arguments,
            lane=lane,
            client=client,
        )
        future.add_done_callback(partial(self._finished, job.computation, share))
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
        if job.active and job.owner != self._owner.id:
            self._recover()
            job = self.jobs.get(job_id)
        if job.active and job.owner != self._owner.id:
            msg = f"job {job_id} belongs to another server process; ask that one"
            raise ConflictError(msg)
        with self._lock:
            if not self.jobs.cancel(job_id):
                return self.jobs.get(job_id)
            self._end(job_id, Stopped())
            sharers = self.jobs.of_computation(job.computation)
            abandoned = not any(sharer.active for sharer in sharers)
            if abandoned:
                self._forget(job.computation)
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

    def shutdown(self, seconds: float = 0.0) -> None:
        """Stop the workers; jobs that have not ended are marked as interrupted. A second call does nothing.

        Args:
            seconds: that running jobs may take to end, from the first call of `workers.drain` on.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.workers.drain(seconds)
        self.workers.shutdown()
        self.jobs.interrupt(self._owner.id)
        with self._lock:
            left = list(self._ends)
        for job_id in left:
            self._end(job_id, Stopped())
        self.jobs.close()
        self._owner.release()

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

    def _finished(self, computation: str, share: str, future: Future[Outcome]) -> None:
        outcome = future.result()
        with self._lock:
            if self._computations.get(share) == computation:
                del self._computations[share]
            ids = [job.id for job in self.jobs.of_computation(computation) if job.active]
            try:
                self._note_end(computation, outcome)
            finally:  # whoever waits is told the end, even if the job list is not
                for job_id in ids:
                    self._end(job_id, outcome)

    def _note_end(self, computation: str, outcome: Outcome) -> None:
        if isinstance(outcome, Success):
            self.jobs.finish(computation, "done", "done")
        elif isinstance(outcome, Failure):
            error = {"status": outcome.status, "title": title_of(outcome.status), "detail": outcome.detail}
            self.jobs.finish(computation, "failed", outcome.detail, error)
        elif self.workers.closing:
            self.jobs.finish(computation, "interrupted", INTERRUPTED)
        else:
            self.jobs.finish(computation, "cancelled", "cancelled")

    def _forget(self, computation: str) -> None:
        """Nobody joins this computation any more."""
        self._computations = {share: other for share, other in self._computations.items() if other != computation}

    def _check_unended(self) -> None:
        unended = sum(not end.done() for end in self._ends.values())
        if unended >= UNENDED_JOBS * self.queue_limit:
            msg = f"{unended} jobs have not ended yet, which is the limit; try again later"
            raise TooManyJobsError(msg)

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
        """Mark the jobs of servers that died."""
        for owner in self.jobs.owners() - {self._owner.id}:
            count = self._owner.if_dead(owner, self._interrupt)
            if count is not None:
                logger.warning("%d jobs were interrupted when a server stopped; they can be submitted again", count)

    def _interrupt(self, owner: str) -> int:
        """Mark what a dead server left; a job whose result it had stored is done."""
        for job in self.jobs.unfinished(owner):
            if job.key and self.results.has(job.key):
                self.jobs.finish(job.computation, "done", "done when the server stopped")
        return self.jobs.interrupt(owner)


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
