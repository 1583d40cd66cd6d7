"""`slicerxai experiment raters|centres COHORT OUT`."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from pydantic import ConfigDict, create_model

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.explain.shift_parameters import ShiftParameters
from slicerxai.parameters import validate_parameters
from slicerxai.shift.experiments.parameters import CentresParameters, ExperimentParameters, RatersParameters
from slicerxai.shift.options import Options

EXPERIMENTS: dict[str, tuple[str, type[ExperimentParameters]]] = {
    "raters": ("Train on one rater, test on another, for every pair of raters.", RatersParameters),
    "centres": ("Train on some centres, test on others.", CentresParameters),
}
_FIELDS: dict[str, Any] = {
    field.name: (ShiftParameters.model_fields[field.name].annotation, ShiftParameters.model_fields[field.name])
    for field in fields(Options)
    if field.name != "estimator"
}
ATTRIBUTION = create_model("AttributionParameters", __config__=ConfigDict(extra="forbid"), **_FIELDS)
"""The options of shift attribution, whose estimators an experiment names in `analyses`."""


class Assignment(click.ParamType):
    """`NAME=VALUE`; several values are separated by commas, and one value of several ends with a comma."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        if isinstance(value, tuple):
            return value
        name, equals, text = (part.strip() for part in value.partition("="))
        if not name or not equals:
            self.fail(f"{value!r}; accepted: NAME=VALUE", param, ctx)
        return name, tuple(part.strip() for part in text.split(",") if part.strip()) if "," in text else text


class ExperimentGroup(click.Group):
    """One subcommand for each experiment; its options are the fields of its parameter model."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(EXPERIMENTS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in EXPERIMENTS:
            return None
        summary, model = EXPERIMENTS[cmd_name]

        def run(cohort: Path, out: Path, training: tuple[tuple[str, Any], ...], as_json: bool, **values: Any) -> None:
            _run(cmd_name, model, cohort, out, dict(training), as_json=as_json, values=values)

        return click.Command(
            cmd_name,
            callback=run,
            help=f"{summary} COHORT is a folder or table that the other commands read; OUT a new folder, or that of an "
            "interrupted experiment, which goes on.",
            params=[
                click.Argument(["cohort"], type=click.Path(path_type=Path)),
                click.Argument(["out"], type=click.Path(path_type=Path)),
                click.Option(
                    ["--training"],
                    type=Assignment(),
                    multiple=True,
                    help="Parameter of the trainer, such as --training epochs=12; see slicerxai train nnunet --help.",
                ),
                *options(model),
                *options(ATTRIBUTION),
                click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON summary."),
            ],
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Experiments"):
            formatter.write_dl([(name, summary) for name, (summary, _) in EXPERIMENTS.items()])


@click.group("experiment", cls=ExperimentGroup)
def command() -> None:
    """Attribute the drops between all raters, or between centres; trains the models first."""


def _run(
    name: str,
    model: type[ExperimentParameters],
    cohort: Path,
    out: Path,
    training: dict[str, Any],
    *,
    as_json: bool,
    values: dict[str, Any],
) -> None:
    what = f"experiment {name}"
    own = {key: value for key, value in values.items() if key in model.model_fields}
    rest = {key: value for key, value in values.items() if key in ATTRIBUTION.model_fields}
    parameters = validate_parameters(model, given(own, model) | {"training": training}, what)
    attribution = validate_parameters(ATTRIBUTION, given(rest, ATTRIBUTION), what)
    from slicerxai import runtime

    runtime.configure()
    from slicerxai.shift.experiments.run import run_experiment

    with progress_bar(what) as progress:
        folder = run_experiment(
            cohort, out, parameters, Options(**attribution.model_dump()), runtime.device(), progress
        )
    report = folder.path / "report.html"
    click.echo(json.dumps({"out": str(folder.path), "report": str(report)}) if as_json else f"report in {report}")
