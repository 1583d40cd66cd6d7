"""The phantom cohort for classifiers of the McDonald regions: few lesions, so that regions are often free of them."""

from __future__ import annotations

import json
from pathlib import Path

from slicerxai.data.cohort import Cohort
from slicerxai.data.phantom.centres import CENTRES
from slicerxai.data.phantom.cohort import DESCRIPTION, write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters, Population
from slicerxai.data.readers import read_cohort
from slicerxai.progress import Progress, silent

POPULATION = Population(
    load_median_ml=1.5,
    load_spread=0.8,
    affected={"periventricular": 0.55, "juxtacortical": 0.45, "infratentorial": 0.45, "deep white matter": 0.45},
)
"""Each region holds lesions in 25 to 75 % of the patients."""

PARAMETERS = PhantomParameters(
    patients=75,
    spacing=2.0,
    seed=5003,
    raters=("1",),
    load_min_ml=0.3,
    load_max_ml=10.0,
    population=dict.fromkeys(CENTRES, POPULATION),
)
"""300 patients; about 7 s of one core each."""


def phantom_cohort(folder: Path, parameters: PhantomParameters = PARAMETERS, progress: Progress = silent) -> Cohort:
    """The cohort of these parameters in a folder, simulated unless the folder holds it complete already."""
    description = folder / DESCRIPTION
    if description.is_file():
        content = json.loads(description.read_text(encoding="utf-8"))
        if content.get("complete") and content.get("parameters") == parameters.model_dump(mode="json"):
            return read_cohort(folder)
    write_cohort(folder, parameters, progress)
    return read_cohort(folder)
