"""A small cohort, and the explanations of its cases computed one after the other in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from slicerxai.cluster.request import Place, Request, place, request
from slicerxai.explain.run import parse_parameters
from tests.support.spotted_cohort import write_cohort

MODEL = "tiny"
METHOD = "saliency"
PARAMETERS = {"method": "input_x_gradient", "seed": 3}


@pytest.fixture
def cohort_folder(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "cohort", 6)


@pytest.fixture
def here(in_tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The settings of this process, on the CPU with one thread; what tasks in this process change is put back."""
    found = dataclasses.replace(place(threads=1), device="cpu")
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield found
    torch.set_num_threads(threads)


@pytest.fixture
def asked(here: Place) -> Request:
    """Saliency of the tiny model."""
    return request(METHOD, parse_parameters(METHOD, PARAMETERS), MODEL, "cohort")
