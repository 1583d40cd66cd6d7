"""A server's beginning, as `slicerxai.server.serve` has it, and its workers; says as JSON what they find."""

import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

from slicerxai.server import fork_server
from slicerxai.server.worker import Success
from slicerxai.server.workers import Workers

HEAVY = "slicerxai.explain.saliency"


def begin():
    """Called once in each worker."""


def told():
    sockets = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return Success(
        {
            "heavy": HEAVY in sys.modules,
            "parent": os.getppid(),
            "setting": os.environ.get("SETTING"),
            "niceness": os.getpriority(os.PRIO_PROCESS, 0),
            "files": sockets,
        }
    )


def wait():
    time.sleep(600)
    return Success(None)


def main():
    bound = socket.create_server(("127.0.0.1", 0))
    with Path(__file__).open() as secret:
        fork_server.fork()
    os.environ["SETTING"] = "made later"
    workers = Workers(1, begin, 8)
    first = workers.submit("first", told).result(120).value
    running = workers.submit("second", wait)
    while workers.waiting or not workers.lanes()["case"][1]:
        time.sleep(0.01)
    workers.cancel("second")
    stopped = type(running.result(60)).__name__
    third = workers.submit("third", told).result(120).value
    workers.shutdown()
    begun = forkserver._forkserver._forkserver_pid
    os.kill(begun, signal.SIGKILL)
    again = Workers(1, begin, 8)
    fourth = again.submit("fourth", told).result(120).value
    again.shutdown()
    inode = f"socket:[{os.fstat(bound.fileno()).st_ino}]"
    answer = {"first": first, "stopped": stopped, "third": third, "fourth": fourth, "socket": inode}
    answer |= {"file": secret.name, "server": os.getpid(), "fork server": begun}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    assert threading.active_count() == 1
    assert multiprocessing.parent_process() is None
    main()
