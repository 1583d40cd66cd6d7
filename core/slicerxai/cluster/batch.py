"""All cases of a cohort: given to workers, tried again when they fail, and noted."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING
from uuid import uuid4

from slicerxai.cluster.case_task import Outcome, compute
from slicerxai.cluster.folder import BatchFolder, Row, folder_names
from slicerxai.cluster.request import CaseWork, Place, Request
from slicerxai.cluster.workers import capacity
from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.errors import UnavailableError
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from distributed import Client, Future

POLL_SECONDS = 1.0
"""How often workers that came or went are noticed, and the table is written at most."""
STOPPING_SECONDS = 5.0
"""So long is waited for running cases to stop."""


def run_batch(
    client: Client,
    cohort: Cohort,
    channels: Sequence[str],
    request: Request,
    place: Place,
    out: Path,
    *,
    retries: int = 2,
    resources: Mapping[str, float] | None = None,
    progress: Progress = silent,
) -> list[Row]:
    """Compute a request for every case of a cohort. Finished cases of an earlier run are kept.

    Args:
        cohort: its ids are unique.
        channels: the model's modalities; a case without one of them fails.
        retries: how often a case that failed is tried again.
        resources: what each case takes of a worker's resources.

    Returns:
        a row for each case, in the cohort's order, as in `cases.csv`.

    Raises:
        InputError, ConflictError: see `BatchFolder.held`.
        UnavailableError: a worker can compute none of the cases, or the scheduler went away.
        Cancelled: through `progress`; as after any other exception, finished cases stay and the others are "open".
    """
    folder = BatchFolder(out.absolute())
    names = folder_names([case.id for case in cohort])
    with folder.held(request) as run:
        jobs = {case.id: _work(case, channels, request, place, folder.cases / names[case.id], run) for case in cohort}
        batch = _Batch(client, folder, retries, dict(resources or {}), progress)
        for case, work in jobs.items():
            batch.rows[case] = Row(case, "open", "", 0.0, 0, names[case])
            if isinstance(work, CaseWork):
                batch.waiting.append(work)
            else:
                batch.rows[case] = replace(batch.rows[case], state="failed", error=work)
        try:
            batch.compute()
        finally:
            run.unlink(missing_ok=True)  # whatever is still running stops
            batch.stop()
            folder.write_table(list(batch.rows.values()))
    return list(batch.rows.values())


def _work(
    case: Case, channels: Sequence[str], request: Request, place: Place, folder: Path, run: Path
) -> CaseWork | str:
    """The work on a case, or why there is none."""
    missing = [channel for channel in channels if channel not in case.images]
    if missing:
        return f"case {case.id!r} has no {', '.join(missing)}; it has {', '.join(sorted(case.images)) or 'no image'}"
    if request.rater is not None and request.rater not in case.masks:
        return f"case {case.id!r} has no mask of {request.rater!r}; it has {', '.join(sorted(case.masks)) or 'none'}"
    images = {channel: case.images[channel].absolute() for channel in channels}
    mask = None if request.rater is None else case.masks[request.rater].absolute()
    return CaseWork(request, place, case.id, images, mask, folder, run)


@dataclass
class _Batch:
    client: Client
    folder: BatchFolder
    retries: int
    resources: Mapping[str, float]
    progress: Progress
    rows: dict[str, Row] = field(default_factory=dict)
    waiting: deque[CaseWork] = field(default_factory=deque)
    running: dict[str, tuple[Future, CaseWork]] = field(default_factory=dict)
    ended: Queue[str] = field(default_factory=Queue)

    def compute(self) -> None:
        """Until no case is left. No more cases are with the workers than these can compute, so that a worker that dies
        takes no other cases along."""
        written = time.monotonic()
        while self.waiting or self.running:
            free = self._capacity() - len(self.running)
            while self.waiting and free > 0:
                self._submit(self.waiting.popleft())
                free -= 1
            self._show()
            self._note_ended(POLL_SECONDS)
            if time.monotonic() - written > POLL_SECONDS:
                self.folder.write_table(list(self.rows.values()))
                written = time.monotonic()
        self._show()

    def stop(self) -> None:
        """Wait a little for the cases that are still running; what they finish is noted."""
        deadline = time.monotonic() + STOPPING_SECONDS
        self.waiting.clear()
        self.retries = 0
        with suppress(UnavailableError):
            while self.running and (left := deadline - time.monotonic()) > 0:
                self._note_ended(left, stopping=True)
        for future, _ in self.running.values():
            future.cancel()

    def _capacity(self) -> int:
        try:
            return capacity(self.client, self.resources)
        except OSError as error:
            raise self._lost(error) from None

    def _submit(self, work: CaseWork) -> None:
        key = f"case-{uuid4().hex}"  # dask logs and shows it
        row = self.rows[work.case]
        self.rows[work.case] = replace(row, attempts=row.attempts + 1)
        future = self.client.submit(compute, work, key=key, pure=False, resources=dict(self.resources) or None)
        self.running[key] = (future, work)
        future.add_done_callback(lambda ended: self.ended.put(ended.key))

    def _note_ended(self, patience: float, *, stopping: bool = False) -> None:
        """Wait for a case to end, and note all that have."""
        try:
            keys = [self.ended.get(timeout=patience)]
            while not self.ended.empty():
                keys.append(self.ended.get_nowait())
        except Empty:
            return
        for key in keys:
            future, work = self.running.pop(key)
            outcome = self._outcome(future)
            if stopping and outcome.state not in {"computed", "kept"}:
                continue
            if outcome.state == "unfit":
                msg = f"{outcome.error}. Finished cases are kept"
                raise UnavailableError(msg)
            self._note(work, outcome)

    def _note(self, work: CaseWork, outcome: Outcome) -> None:
        row = self.rows[work.case]
        if outcome.state in {"computed", "kept"}:
            self.rows[work.case] = replace(row, state=outcome.state, error="", seconds=outcome.seconds)
        elif row.attempts <= self.retries:
            self.waiting.append(work)
        else:
            error = outcome.error or "it was stopped"
            self.rows[work.case] = replace(row, state="failed", error=error, seconds=outcome.seconds)

    def _outcome(self, future: Future) -> Outcome:
        """What the worker said, or that it died. Raises `UnavailableError` where the cluster itself fails."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker

        try:
            outcome: Outcome = future.result()
        except KilledWorker:
            return Outcome("failed", "the worker's process ended while it computed; often for lack of memory", 0.0)
        except (CancelledError, OSError) as error:
            raise self._lost(error) from None
        except Exception as error:  # `compute` never raises: the worker cannot even call it
            msg = f"a worker cannot compute ({type(error).__name__}: {error}); install this version of slicerxai there"
            raise UnavailableError(msg) from None
        return outcome

    def _lost(self, error: BaseException) -> UnavailableError:
        msg = f"the scheduler is gone ({type(error).__name__}); run the same command again, finished cases are kept"
        return UnavailableError(msg)

    def _show(self) -> None:
        states = [row.state for row in self.rows.values()]
        failed, left = states.count("failed"), states.count("open")
        done = len(states) - left
        words = f"{done} of {len(states)} cases" + (f", {failed} failed" if failed else "")
        if left and not self.running:
            needed = ", ".join(f"{name}={amount:g}" for name, amount in self.resources.items())
            words += ": waiting for a worker" + (f" that offers {needed}" if needed else "")
        self.progress(done / max(1, len(states)), words)
