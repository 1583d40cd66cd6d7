"""The processes that compute: some of this machine, or those of a scheduler that is running elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from slicerxai.cluster import interrupts
from slicerxai.errors import UnavailableError
from slicerxai.settings import settings

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 20
MEMORY_SHARE = 0.9
"""Of the machine's memory, for all workers together."""


@contextmanager
def local_workers(number: int, threads: int, resources: Mapping[str, float]) -> Iterator[Client]:
    """Processes of this machine that end with the block, each for one case at a time.

    They and their scheduler listen on 127.0.0.1 and talk by TLS with a key that only they know, because whoever reaches
    one of them can make it do anything, also another user of this machine. There is no dashboard.

    Args:
        resources: that each of them offers.
    """
    import dask
    from distributed import Client, LocalCluster
    from distributed.security import Security

    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    behaviour = {
        # a dead worker is one failed attempt of the case that it had, counted by whoever gave it the case
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",  # each process would wake 50 times a second to see whether it is slow
        "distributed.worker.preload": [interrupts.__name__],
        # networks and images are no data of dask's: there is nothing to spill, and a paused worker would stay so
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(names, threads),
    }
    with (
        TemporaryDirectory(prefix="slicerxai-workers-") as scratch,
        dask.config.set(behaviour),
        LocalCluster(
            n_workers=number,
            threads_per_worker=1,
            host="127.0.0.1",
            security=Security.temporary(),
            dashboard_address=None,
            scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},  # any port: there are no pages, but it listens
            memory_limit=settings().memory_limit or MEMORY_SHARE / number,
            resources=dict(resources),
            local_directory=scratch,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def workers_of(scheduler: str) -> Iterator[Client]:
    """The workers of a scheduler, such as `tcp://host:8786` or `tls://host:8786`; TLS is configured as dask's is.

    Raises:
        UnavailableError: it does not answer, or is no address.
    """
    from distributed import Client

    try:
        client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        msg = f"no scheduler answers at {scheduler!r} ({error}); accepted: tcp://HOST:PORT or tls://HOST:PORT"
        raise UnavailableError(msg) from None
    with client:
        yield client


def capacity(client: Client, resources: Mapping[str, float]) -> int:
    """Cases that can be computed at a time: workers that run and offer the resources of one case."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return sum(
        worker["status"] == "running"
        and all(worker["resources"].get(name, 0) >= amount for name, amount in resources.items())
        for worker in workers
    )
