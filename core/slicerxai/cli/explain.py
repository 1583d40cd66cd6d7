"""`slicerxai explain METHOD`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.cli.scans import images_by_modality, scan_name
from slicerxai.explain import registry
from slicerxai.explain.contract import Explanation
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings


class ExplainGroup(click.Group):
    """One subcommand for each registered method; its options are the fields of its parameter model."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(registry.METHODS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in registry.METHODS:
            return None
        parameters = registry.parameters_class(cmd_name)

        def explain(images: tuple[str, ...], out: Path, model: str | None, as_json: bool, **values: Any) -> None:
            _explain(cmd_name, images, out, model, as_json, given(values, parameters))

        return click.Command(
            cmd_name,
            callback=explain,
            help=f"{registry.entry(cmd_name).summary}\n\nWrites overlays, explanation.json and report.html into OUT.",
            params=[
                click.Option(
                    ["--image", "images"], multiple=True, required=True, metavar="[MODALITY=]PATH", help="The scan."
                ),
                click.Option(["--out"], type=click.Path(path_type=Path), required=True, help="Folder for the result."),
                click.Option(["--model"], help="Name of a trained model; not needed when there is just one."),
                click.Option(["--json", "as_json"], is_flag=True, help="Print metrics, checks and verdict as JSON."),
                *options(parameters),
            ],
        )


@click.group("explain", cls=ExplainGroup)
def command() -> None:
    """Explain a prediction; one subcommand for each method."""


def _explain(
    method: str, images: tuple[str, ...], out: Path, model: str | None, as_json: bool, values: dict[str, Any]
) -> None:
    parameters = validate_parameters(registry.parameters_class(method), values, method)
    from slicerxai import runtime
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    name = store.resolve(model)
    paths = images_by_modality(images, store.describe(name)["channels"])
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "explanation.json").is_file())):
        raise click.UsageError(f"{out} holds something else; give a new folder or one with an earlier explanation")
    runtime.configure()
    from slicerxai.explain.run import run

    with progress_bar(f"explain {method}") as progress:
        loaded = store.load(name, runtime.device())
        explanation = run(method, parameters, loaded, scan_name(next(iter(paths.values()))), paths, progress)
    _write(explanation, out)
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


def _write(explanation: Explanation, out: Path) -> None:
    from slicerxai.data.files import replaced_bytes, replaced_text
    from slicerxai.explain.folder import save
    from slicerxai.explain.overview import overview
    from slicerxai.explain.report import render

    page, picture = render(explanation), overview(explanation)
    save(explanation, out)
    replaced_text(out / "report.html", page)
    replaced_bytes(out / "overview.png", picture)
