"""`slicerxai dicom`: what a DICOMweb server holds, and results back to it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click


@click.group("dicom")
def command() -> None:
    """List a DICOMweb server's MR series, or store a result there.

    URL is the address of its DICOMweb routes, such as https://pacs.example.org/dicom-web. Credentials come from the
    file that SLICERXAI_DICOM_CREDENTIALS names (USER:PASSWORD), or from SLICERXAI_DICOM_USER and
    SLICERXAI_DICOM_PASSWORD.
    """


@command.command("list")
@click.argument("url")
@click.option("--study", metavar="UID", help="StudyInstanceUID; all studies by default.")
@click.option("--series", metavar="UID", help="SeriesInstanceUID.")
@click.option("--uids", is_flag=True, help="Show the UIDs too, by which the images can be found in the archive.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_images(url: str, study: str | None, series: str | None, uids: bool, as_json: bool) -> None:
    """The MR series under the ids by which the server calls them, and which sequence each is."""
    from slicerxai.server.dicomweb.archive import archive_of

    archive = archive_of(url)
    rows = []
    for image in archive.named(study, series):
        found = archive.sequence(image.id)
        row = {"id": image.id, "modality": found.modality, "reason": found.reason, "instances": image.instances}
        rows.append(row | ({"study_uid": image.study_uid, "series_uid": image.series_uid} if uids else {}))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        shown = f"{row['id']}  {row['modality'] or '?':5}  {row['instances'] or '?':>4}  {row['reason']}"
        click.echo(shown + (f"\n    study {row['study_uid']}\n    series {row['series_uid']}" if uids else ""))
    if not rows:
        click.echo("no MR series", err=True)


@command.command("send")
@click.argument("url")
@click.argument("result", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--image", help="Id of the image of the model's first modality; by default as the result says.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def send(url: str, result: Path, image: str | None, as_json: bool) -> int:
    """Store RESULT, the folder of an explanation of one of the server's images, as DICOM objects in its study.

    Sending again adds nothing. Exit code 1 when the server refuses some of them.
    """
    from slicerxai.explain.folder import load
    from slicerxai.server.dicomweb.archive import archive_of
    from slicerxai.server.dicomweb.results import send_result

    explanation = load(result)
    outcomes = send_result(archive_of(url), explanation, image or explanation.image_id)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in outcomes]))
    else:
        for one in outcomes:
            click.echo(f"{one.state:8}{one.kind}  {one.instance}" + (f"  {one.reason}" if one.reason else ""))
    return 1 if any(one.state == "failed" for one in outcomes) else 0
