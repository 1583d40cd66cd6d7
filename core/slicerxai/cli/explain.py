"""`slicerxai explain METHOD`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.cli.scans import images_by_modality, scan_name
from slicerxai.explain import registry
from slicerxai.explain.contract import ExplainParameters, Explanation, Subject
from slicerxai.explain.inputs import check_sequence
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.data.cohort import Cohort


class ExplainGroup(click.Group):
    """One subcommand for each registered method; its options are the fields of its parameter model."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(registry.METHODS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in registry.METHODS:
            return None
        entry = registry.entry(cmd_name)
        parameters = registry.parameters_class(cmd_name)

        def explain(out: Path, model: str | None, as_json: bool, **values: Any) -> None:
            chosen = validate_parameters(parameters, given(values, parameters), cmd_name)
            source = values["images"] if entry.subject == "case" else values["cohort"]
            explanation = _explain(
                cmd_name, source, chosen, out, model, values.get("mask"), values.get("sequence") or ()
            )
            from slicerxai.explain.result import save_result

            save_result(explanation, out)
            _say(explanation, out, as_json)

        return click.Command(
            cmd_name,
            callback=explain,
            help=f"{entry.summary}\n\nWrites overlays, explanation.json and report.html into OUT.",
            params=[
                SOURCES[entry.subject](),
                *([_mask_option()] if entry.mask else []),
                *([_sequence_option()] if entry.sequence else []),
                click.Option(["--out"], type=click.Path(path_type=Path), required=True, help="Folder for the result."),
                click.Option(["--model"], help="Name of a trained model; not needed when there is just one."),
                click.Option(["--json", "as_json"], is_flag=True, help="Print metrics, checks and verdict as JSON."),
                *options(parameters),
            ],
        )


def _image_option() -> click.Option:
    return click.Option(
        ["--image", "images"], multiple=True, required=True, metavar="[MODALITY=]PATH", help="The scan."
    )


def _mask_option() -> click.Option:
    return click.Option(
        ["--mask"],
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="An expert's mask of the finding, on any grid; the change is compared with it.",
    )


def _sequence_option() -> click.Option:
    return click.Option(
        ["--sequence"],
        multiple=True,
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Images of the same case that were recorded one after the other; once for each, in their order.",
    )


def _cohort_option() -> click.Option:
    return click.Option(
        ["--cohort"],
        type=click.Path(path_type=Path),
        required=True,
        help="The cohort: MSSEG2016, BIDS, or a folder with a CSV.",
    )


SOURCES: dict[Subject, Callable[[], click.Option]] = {"case": _image_option, "cohort": _cohort_option}


@click.group("explain", cls=ExplainGroup)
def command() -> None:
    """Explain a prediction; one subcommand for each method."""


def _explain(
    method: str,
    source: tuple[str, ...] | Path,
    parameters: ExplainParameters,
    out: Path,
    model: str | None,
    mask: Path | None = None,
    sequence: tuple[Path, ...] = (),
) -> Explanation:
    """Explain the images, or the cohort of a folder; everything that can be checked quickly is checked first."""
    from slicerxai import runtime
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    name = store.resolve(model)
    channels = store.describe(name)["channels"]
    if isinstance(source, Path):
        cohort = _read_cohort(source, channels, parameters)
    else:
        paths = images_by_modality(source, channels)
        check_sequence(sequence, channels)
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "explanation.json").is_file())):
        raise click.UsageError(f"{out} holds something else; give a new folder or one with an earlier explanation")
    runtime.configure()
    from slicerxai.explain.run import run, run_cohort

    with progress_bar(f"explain {method}") as progress:
        loaded = store.load(name, runtime.device())
        if isinstance(source, Path):
            return run_cohort(method, parameters, loaded, cohort, progress)
        return run(method, parameters, loaded, scan_name(next(iter(paths.values()))), paths, progress, mask, sequence)


def _read_cohort(folder: Path, channels: Sequence[str], parameters: ExplainParameters) -> Cohort:
    from slicerxai.data.readers import read_cohort
    from slicerxai.explain.inputs import check_environments, readable

    cohort = readable(read_cohort(folder), channels)
    check_environments(parameters, cohort)
    return cohort


def _say(explanation: Explanation, out: Path, as_json: bool) -> None:
    if as_json:
        shown = {"image_id", "method", "parameters", "metrics", "checks", "flags", "tables", "provenance"}
        content = json.loads((out / "explanation.json").read_text())
        summary = {key: value for key, value in content.items() if key in shown}
        click.echo(json.dumps({"out": str(out), "verdict": explanation.verdict} | summary))
        return
    click.echo(f"verdict: {explanation.verdict}")
    for check in explanation.checks:
        click.echo(f"  {check.verdict}: {check.reason}")
    click.echo(f"report: {out / 'report.html'}")
