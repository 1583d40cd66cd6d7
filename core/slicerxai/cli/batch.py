"""`slicerxai batch METHOD` and `slicerxai batch infer`: every case of a cohort."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.cluster.request import INFER, case_method, place, request
from slicerxai.explain import registry
from slicerxai.explain.contract import ExplainParameters
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings

if TYPE_CHECKING:
    from distributed import Client

    from slicerxai.cluster.folder import Row

NAMED = 10
"""Failed cases that are named on the terminal; all are in the table."""

WRITES = (
    "Writes OUT/cases/CASE for every case and OUT/cases.csv. Run it again to go on after a stop: "
    "finished cases are kept."
)


class Resource(click.ParamType):
    """`NAME=AMOUNT`, as `dask worker --resources` has it."""

    name = "NAME=AMOUNT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        name, _, text = value.partition("=")
        try:
            amount = float(text)
        except ValueError:
            amount = 0.0
        if not name.strip() or not 0 < amount < float("inf"):
            self.fail(f"{value!r}; accepted: NAME=AMOUNT with an amount above 0, such as GPU=1", param, ctx)
        return name.strip(), amount


class BatchGroup(click.Group):
    """One subcommand for each method of cases, and one for plain prediction."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [INFER, *sorted(name for name, entry in registry.METHODS.items() if entry.subject == "case")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == INFER:
            summary, model, mask = "What a model predicts, as slicerxai infer writes it.", None, False
        elif cmd_name in registry.METHODS:
            entry = case_method(cmd_name)
            summary, model, mask = entry.summary, registry.parameters_class(cmd_name), entry.mask
        else:
            return None

        def run(**values: Any) -> int:
            return _run(cmd_name, model, values)

        return click.Command(
            cmd_name,
            callback=run,
            help=f"{summary}\n\n{WRITES}",
            params=[*_options(mask), *(options(model) if model is not None else [])],
        )


def _options(mask: bool) -> list[click.Parameter]:
    folder = click.Path(path_type=Path)
    found: list[click.Parameter] = [
        click.Option(["--cohort"], type=folder, required=True, help="MSSEG2016, BIDS, or a folder with a CSV."),
        click.Option(["--out"], type=folder, required=True, help="Folder for the results."),
        click.Option(["--model"], help="Name of a trained model; not needed when there is just one."),
        click.Option(["--workers"], type=click.IntRange(1), help="Processes of this machine. [default: 2]"),
        click.Option(["--scheduler"], metavar="ADDRESS", help="A dask scheduler, such as tls://host:8786, instead."),
        click.Option(
            ["--threads"], type=click.IntRange(1), default=1, show_default=True, help="CPU threads of one case."
        ),
        click.Option(
            ["--retries"],
            type=click.IntRange(0),
            default=2,
            show_default=True,
            help="Further attempts of a failed case.",
        ),
        click.Option(
            ["--resources"],
            type=Resource(),
            multiple=True,
            help="What one case takes of a worker's resources. [default: GPU=1 where SLICERXAI_DEVICE is cuda]",
        ),
        click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON summary."),
    ]
    if mask:
        found.append(click.Option(["--rater"], help="Compare with this rater's masks."))
    return found


@click.group("batch", cls=BatchGroup)
def command() -> None:
    """Explain or segment every case of a cohort, on this machine or a cluster.

    Exit code 1: at least one case failed; OUT/cases.csv says why.
    """


def _run(method: str, model: type[ExplainParameters] | None, values: Mapping[str, Any]) -> int:
    """Check what can be checked quickly, then compute. Returns the exit code."""
    if values["workers"] is not None and values["scheduler"] is not None:
        raise click.UsageError("--workers starts processes here, --scheduler uses those of a cluster: give one of them")
    from slicerxai.data.readers import read_cohort
    from slicerxai.explain.inputs import readable
    from slicerxai.models.store import ModelStore

    parameters = None if model is None else validate_parameters(model, given(values, model), method)
    store = ModelStore(settings().models)
    name = store.resolve(values["model"])
    channels = store.describe(name)["channels"]
    cohort = readable(read_cohort(values["cohort"]), channels)
    rater = values.get("rater")
    if rater is not None and rater not in cohort.raters:
        raise click.UsageError(f"no case has a mask of {rater!r}; raters are {', '.join(cohort.raters) or 'none'}")
    asked = request(method, parameters, name, cohort.name, rater)
    from slicerxai.cluster.batch import run_batch

    resources = dict(values["resources"]) or ({"GPU": 1.0} if settings().device == "cuda" else {})
    with progress_bar(f"batch {method}") as progress:
        progress(0.0, "starting the workers" if values["scheduler"] is None else "connecting to the scheduler")
        with _client(values, resources) as client:
            rows = run_batch(
                client,
                cohort,
                channels,
                asked,
                place(values["threads"]),
                values["out"],
                retries=values["retries"],
                resources=resources,
                progress=progress,
            )
    return _say(rows, values["out"], as_json=values["as_json"])


def _client(values: Mapping[str, Any], resources: Mapping[str, float]) -> AbstractContextManager[Client]:
    from slicerxai.cluster.workers import local_workers, workers_of

    if values["scheduler"] is not None:
        return workers_of(values["scheduler"])
    return local_workers(values["workers"] or 2, values["threads"], resources)


def _say(rows: Sequence[Row], out: Path, *, as_json: bool) -> int:
    states = Counter(row.state for row in rows)
    failed = [row for row in rows if row.state == "failed"]
    if as_json:
        errors = [{"case": row.case, "error": row.error, "attempts": row.attempts} for row in failed]
        counts = {"cases": len(rows), "computed": states["computed"], "kept": states["kept"]}
        click.echo(json.dumps({"out": str(out)} | counts | {"failed": errors}))
    else:
        click.echo(
            f"{states['computed']} cases computed, {states['kept']} kept, {len(failed)} failed: {out / 'cases.csv'}"
        )
    for row in failed[:NAMED]:
        click.echo(f"failed: {row.case}: {row.error}", err=True)
    if len(failed) > NAMED:
        click.echo(f"failed: {len(failed) - NAMED} more, see {out / 'cases.csv'}", err=True)
    return 1 if failed else 0
