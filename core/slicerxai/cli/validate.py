"""`slicerxai validate COHORT`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from slicerxai.cli.progress import progress_bar
from slicerxai.errors import InputError


@click.command("validate")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def command(cohort: Path, as_json: bool) -> None:
    """List every problem of the images and masks of COHORT at once. Exit code 2 when there is an error among them."""
    from slicerxai.data.readers import read_cohort
    from slicerxai.data.validate import validate

    cases = read_cohort(cohort)
    with progress_bar("validate") as progress:
        problems = validate(cases, progress)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        click.echo(json.dumps({"cases": len(cases), "problems": [asdict(p) for p in problems]}, default=str))
    else:
        for problem in problems:
            click.echo(f"{problem.severity}: {problem.case}: {problem.message}")
        click.echo(f"{len(cases)} cases, {len(errors)} errors, {len(problems) - len(errors)} warnings")
    if errors:
        msg = f"{len(errors)} of the cohort's files cannot be used as they are"
        raise InputError(msg)
