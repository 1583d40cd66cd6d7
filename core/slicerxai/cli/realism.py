"""`slicerxai realism MODEL COHORT`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings


def _realism(model: str, cohort: Path, rater: str, as_json: bool, **values: Any) -> None:
    from slicerxai import runtime
    from slicerxai.data.readers import read_cohort
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    store.folder(model)
    parameters = validate_parameters(RealismParameters, given(values, RealismParameters), "slicerxai realism")
    cases = list(read_cohort(cohort))
    runtime.configure()
    from slicerxai.alignment.realism_cases import realism_for
    from slicerxai.alignment.realism_store import RealismStore

    with progress_bar("realism") as progress:
        loaded = store.load(model, runtime.device())
        learned = realism_for(loaded, cases, parameters, rater=rater, progress=progress)
    identifier = RealismStore(settings().realism).save(model, learned)
    held_out = len(learned.reference)
    if as_json:
        summary = {
            "id": identifier,
            "model": model,
            "model_digest": loaded.info.digest,
            "parameters": parameters.model_dump(mode="json"),
            "cases": [case.id for case in cases],
            "held_out_images": held_out,
        }
        click.echo(json.dumps(summary))
        return
    click.echo(f"{identifier}: what the images of model {model!r} look like, from {len(cases)} cases")
    click.echo(f"  held-out images, against which others are judged: {held_out}")


command = click.Command(
    "realism",
    callback=_realism,
    help="Learn what the images of MODEL look like, to judge whether counterfactuals are plausible.\n\n"
    "An autoencoder learns from some of the subjects of COHORT (a folder: MSSEG2016, BIDS, or with a CSV); how unusual "
    "the others are to it tells what is usual. Take images like those that the model was trained on; labels and masks "
    "are not needed. The newest of a model is the one that explanations use.",
    params=[
        click.Argument(["model"]),
        click.Argument(["cohort"], type=click.Path(path_type=Path)),
        click.Option(
            ["--rater"],
            default="consensus",
            show_default=True,
            help="Segmenters: whose lesions half of the patches are taken from, where there are some.",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print id, figures and cases as JSON."),
        *options(RealismParameters),
    ],
)
