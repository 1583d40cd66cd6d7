"""`slicerxai infer`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from slicerxai.cli.progress import progress_bar
from slicerxai.cli.scans import images_by_modality
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.data.volume import Volume
    from slicerxai.models.protocols import Classifier


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
    from slicerxai.data.files import replaced_text
    from slicerxai.data.io import read_volume, write_volume
    from slicerxai.data.lesions import find_lesions
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    name = store.resolve(model)
    paths = images_by_modality(images, store.describe(name)["channels"])
    volumes = {modality: read_volume(path) for modality, path in paths.items()}
    runtime.configure()
    from slicerxai.models.protocols import Segmenter

    loaded = store.load(name, runtime.device())
    if not isinstance(loaded, Segmenter):
        _classify(loaded, volumes, out, as_json=as_json)
        return
    with progress_bar("infer") as progress:
        result = loaded.predict(volumes, progress)
    lesions = find_lesions(result.labelmap, result.probability)
    out.mkdir(parents=True, exist_ok=True)
    write_volume(out / "lesions.nii.gz", result.labelmap)
    write_volume(out / "probability.nii.gz", result.probability)
    summary = {
        "model": name,
        "model_digest": loaded.info.digest,
        "lesions": [asdict(lesion) for lesion in lesions],
        "volume_ml": sum(lesion.volume_ml for lesion in lesions),
    }
    replaced_text(out / "lesions.json", json.dumps(summary, indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(summary))
    else:
        click.echo(f"{len(lesions)} lesions, {summary['volume_ml']:.2f} ml; written to {out}")


def _classify(model: Classifier, volumes: Mapping[str, Volume], out: Path, *, as_json: bool) -> None:
    from slicerxai.data.files import replaced_text

    probabilities = model.predict(volumes)
    labels = [
        {"label": label, "probability": float(p), "threshold": threshold, "present": bool(p >= threshold)}
        for label, p, threshold in zip(model.info.labels, probabilities, model.thresholds, strict=True)
    ]
    summary = {"model": model.info.name, "model_digest": model.info.digest, "labels": labels}
    out.mkdir(parents=True, exist_ok=True)
    replaced_text(out / "labels.json", json.dumps(summary, indent=2) + "\n")
    if as_json:
        click.echo(json.dumps(summary))
        return
    width = max(len(label) for label in model.info.labels)
    for row in labels:
        verdict = "present" if row["present"] else "absent"
        click.echo(f"{row['label']:{width}}  {row['probability']:.3f}  {verdict} (from {row['threshold']:.3f})")
    click.echo(f"written to {out}")
