"""`slicerxai models`."""

from __future__ import annotations

import json
from typing import Any

import click

from slicerxai.models.store import ModelStore
from slicerxai.settings import settings


@click.group("models")
def command() -> None:
    """What has been trained."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print names, kinds, channels and labels as JSON.")
def list_models(as_json: bool) -> None:
    """List the trained models."""
    store = ModelStore(settings().models)
    rows = [{"name": name, **_facts(store.describe(name))} for name in store.names()]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']}: {row['kind']}, {', '.join(row['channels'])} to {', '.join(row['labels'])}")
    if not rows:
        click.echo("no model yet; train one with: slicerxai train fast COHORT")


@command.command("card")
@click.argument("name")
def show_card(name: str) -> None:
    """Show the model card of NAME as Markdown: data, training, figures, intended use and limits."""
    click.echo(ModelStore(settings().models).card(name), nl=False)


def _facts(description: dict[str, Any]) -> dict[str, Any]:
    return {key: description.get(key, []) for key in ("kind", "channels", "labels")}
