import subprocess
import sys

import pytest

from slicerxai.server import memory
from slicerxai.settings import settings

GIB = 2**30
TAKE = """
from slicerxai.server.memory import limit_memory
limit_memory()
import numpy, torch
kept = numpy.ones(GIB // 2, dtype=numpy.uint8)
for take in (lambda: numpy.ones(2 * GIB, dtype=numpy.uint8), lambda: torch.ones(2 * GIB, dtype=torch.uint8)):
    try:
        take()
    except (MemoryError, RuntimeError) as error:
        print(type(error).__name__, error)
""".replace("GIB", str(GIB))


@pytest.fixture
def chosen(monkeypatch):
    def choose(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"SLICERXAI_{name}", str(value))
        settings.cache_clear()

    yield choose
    settings.cache_clear()


def test_workers_share_the_memory_of_the_machine_or_of_its_container(chosen, monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_CONTAINER_LIMIT", tmp_path / "memory.max")
    chosen(WORKERS=2)
    whole = memory.machine_memory()
    assert memory.worker_limit() == max(2 * GIB, int(0.9 * whole / 2))
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.machine_memory() == whole
    (tmp_path / "memory.max").write_text(f"{GIB}\n")
    assert memory.machine_memory() == GIB
    assert memory.worker_limit() == 2 * GIB
    chosen(MEMORY_LIMIT=5 * GIB)
    assert memory.worker_limit() == 5 * GIB


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the data of a process")
def test_more_than_the_limit_is_an_error_and_not_the_end_of_the_process(chosen):
    chosen(MEMORY_LIMIT=2 * GIB, DEVICE="cpu")
    said = subprocess.run([sys.executable, "-c", TAKE], capture_output=True, text=True, check=True).stdout
    first, second = said.splitlines()[0], said.splitlines()[1]
    assert "MemoryError" in first
    assert "can't allocate memory" in second
