"""`slicerxai regions COHORT OUT.csv`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slicerxai.cli.progress import progress_bar
from slicerxai.errors import InputError

if TYPE_CHECKING:
    from slicerxai.data.case import Case


@click.command("regions")
@click.argument("cohort", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--rater", default="consensus", show_default=True, help="Whose masks count.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON summary.")
def command(cohort: Path, out: Path, rater: str, as_json: bool) -> None:
    """Find the McDonald region of every lesion of COHORT and write a table of it.

    OUT, a CSV file, is the cohort with the lesion volume of each region (ml) beside its metadata, and can be given
    wherever a cohort is asked for: slicerxai train classifier OUT. It names the images by paths, so it has to be in a
    folder that holds them, such as the cohort's own parent.
    """
    from slicerxai.data.files import replaced_text
    from slicerxai.data.readers import read_cohort
    from slicerxai.data.regions import patient_regions
    from slicerxai.progress import each

    if out.suffix.lower() != ".csv":
        msg = f"{out}: the table is a CSV file; name it so, such as {out}.csv"
        raise InputError(msg)
    cases = list(read_cohort(cohort))
    rows = [_row(case, out, rater) for case in cases]
    with progress_bar("regions") as progress:
        for (case, row), inner in each(progress, list(zip(cases, rows, strict=True))):
            inner(0.0, f"finding the regions of {case.id}")
            images = {key: case.image(key) for key in ("FLAIR", "T1") if key in case.images}
            try:
                row |= {
                    name: f"{value:g}" for name, value in patient_regions(case.mask(rater), images).volumes_ml().items()
                }
            except InputError as error:
                msg = f"case {case.id!r}: {error}"
                raise InputError(msg) from error
    replaced_text(out, _table(rows))
    summary = {"out": str(out), "cases": len(cases)}
    click.echo(json.dumps(summary) if as_json else f"regions of {len(cases)} cases written to {out}")


def _row(case: Case, out: Path, rater: str) -> dict[str, str]:
    """A case as the table names it, without its regions. Raises `InputError` for a file outside the table's folder."""
    if rater not in case.masks:
        msg = f"case {case.id!r} has no mask of {rater!r}; it has {', '.join(sorted(case.masks)) or 'none'}"
        raise InputError(msg)
    files = dict(case.images) | {
        "mask" if name == "consensus" else f"mask_{name}": path for name, path in case.masks.items()
    }
    folder = out.parent.resolve()
    row = {"case_id": case.id}
    for name, path in files.items():
        if not path.resolve().is_relative_to(folder):
            msg = f"{path} is not below {folder}; write the table into a folder that holds the cohort's images"
            raise InputError(msg)
        row[name] = path.resolve().relative_to(folder).as_posix()
    return row | {key: value if isinstance(value, str) else f"{value:g}" for key, value in case.metadata.items()}


def _table(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
