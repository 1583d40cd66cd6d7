"""`slicerxai infer`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from slicerxai.cli.progress import progress_bar
from slicerxai.cli.scans import images_by_modality
from slicerxai.settings import settings


@click.command("infer")
@click.option("--image", "images", multiple=True, required=True, metavar="[MODALITY=]PATH", help="The scan.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the result.")
@click.option("--model", help="Name of a trained model; not needed when there is just one.")
@click.option("--json", "as_json", is_flag=True, help="Print the result's numbers as JSON.")
def command(images: tuple[str, ...], out: Path, model: str | None, as_json: bool) -> None:
    """Apply a model to one scan.

    A segmenter writes lesions.nii.gz, probability.nii.gz and lesions.json into OUT, a classifier labels.json.
    """
    from slicerxai import runtime
    from slicerxai.data.digests import file_digest
    from slicerxai.data.io import read_volume
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    name = store.resolve(model)
    paths = images_by_modality(images, store.describe(name)["channels"])
    digests = {modality: file_digest(path) for modality, path in paths.items()}
    volumes = {modality: read_volume(path) for modality, path in paths.items()}
    runtime.configure()
    from slicerxai.models.inference import write_inference

    with progress_bar("infer") as progress:
        summary = write_inference(store.load(name, runtime.device()), volumes, digests, out, progress)
    if as_json:
        click.echo(json.dumps(summary))
    elif "labels" in summary:
        _say_labels(summary["labels"])
        click.echo(f"written to {out}")
    else:
        click.echo(f"{len(summary['lesions'])} lesions, {summary['volume_ml']:.2f} ml; written to {out}")


def _say_labels(labels: list[Mapping[str, Any]]) -> None:
    width = max(len(row["label"]) for row in labels)
    for row in labels:
        verdict = "present" if row["present"] else "absent"
        click.echo(f"{row['label']:{width}}  {row['probability']:.3f}  {verdict} (from {row['threshold']:.3f})")
