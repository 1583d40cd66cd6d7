"""A cohort of tiny phantoms and a generator that has seen it for seconds."""

from __future__ import annotations

import pytest
import torch

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.store import GeneratorStore, TrainedGenerator
from tests.support.generated_heads import TINY, head


@pytest.fixture(scope="session")
def tiny_cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Eight heads of two centres; every second one without a ball."""
    folder = tmp_path_factory.mktemp("heads")
    cases = []
    for seed in range(8):
        image, mask = head(seed, radius=(seed % 2) * (2 + seed / 8))
        paths = folder / f"{seed}_image.nii.gz", folder / f"{seed}_mask.nii.gz"
        write_volume(paths[0], image)
        write_volume(paths[1], mask)
        metadata = {"centre": "01" if seed < 4 else "03"}
        cases.append(Case(id=str(seed), images={"FLAIR": paths[0]}, masks={"consensus": paths[1]}, metadata=metadata))
    return cases


@pytest.fixture(scope="session")
def generators(tmp_path_factory: pytest.TempPathFactory) -> GeneratorStore:
    """Where the session's generators are kept."""
    return GeneratorStore(tmp_path_factory.mktemp("generators"))


@pytest.fixture(scope="session")
def tiny_generator(tiny_cases: list[Case], generators: GeneratorStore) -> TrainedGenerator:
    """A generator of lesion loads named "tiny", trained on the heads."""
    parameters = GeneratorParameters(**TINY, steps=150)
    return generators.train("tiny", tiny_cases, "consensus", parameters, torch.device("cpu"))
