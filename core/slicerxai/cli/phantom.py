"""`slicerxai phantom OUT`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.parameters import validate_parameters


@click.command(
    "phantom",
    help="Write a synthetic MS cohort with known truth into OUT, in the layout of MSSEG2016.",
    params=[
        click.Argument(["out"], type=click.Path(path_type=Path)),
        *options(PhantomParameters),
        click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON summary."),
    ],
)
def command(out: Path, as_json: bool, **values: Any) -> None:
    """Write the phantom cohort."""
    from slicerxai.data.phantom.cohort import write_cohort

    parameters = validate_parameters(PhantomParameters, given(values, PhantomParameters), "phantom")
    with progress_bar("phantom") as progress:
        cohort = write_cohort(out, parameters, progress)
    summary = {"out": str(out), "cases": len(cohort), "parameters": parameters.model_dump(mode="json")}
    click.echo(json.dumps(summary) if as_json else f"{len(cohort)} cases written to {out}")
