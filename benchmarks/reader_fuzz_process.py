"""One process of the fuzzing: `python -m benchmarks.reader_fuzz_process FOLDER SEED KIND=INPUTS...`; prints JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from random import Random

import hypothesis
from hypothesis import strategies as st

from benchmarks.reader_fuzz_judge import Findings, Judge, Kind

VOXEL_LIMIT = 2**20
"""Voxels that an image may have here, so that what a header announces cannot hide behind a generous limit."""
WARM = 20
"""Inputs of a kind after which everything has been imported, and memory is limited."""


def main(folder: Path, seed: int, wanted: dict[str, int]) -> None:
    """Judge inputs of some kinds; the input at hand lies in `folder/in`. Prints the findings by kind."""
    os.environ |= {"SLICERXAI_VOXEL_LIMIT": str(VOXEL_LIMIT), "SLICERXAI_HOME": str(folder / "home")}
    warnings.simplefilter("ignore")
    logging.disable()
    from benchmarks.reader_fuzz import kinds

    known = kinds()
    print(json.dumps({name: asdict(_judged(known[name], folder, inputs, seed)) for name, inputs in wanted.items()}))


def _judged(kind: Kind, folder: Path, inputs: int, seed: int) -> Findings:
    judge, sample = Judge(folder, kind.read, kind.named), kind.samples()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.randoms(use_true_random=True))
    def run(random: Random) -> None:
        if judge.found.inputs == WARM:
            judge.limit_memory()
        judge.judge(sample(random))

    run()
    return judge.found


if __name__ == "__main__":
    given = dict(word.rsplit("=", 1) for word in sys.argv[3:])
    main(Path(sys.argv[1]), int(sys.argv[2]), {name: int(inputs) for name, inputs in given.items()})
