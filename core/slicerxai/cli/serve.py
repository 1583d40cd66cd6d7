"""`slicerxai serve STUDIES`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve")
@click.argument("studies")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="Port to bind.")
@click.option("--cohorts", type=click.Path(path_type=Path), help="Folder of cohorts. [default: HOME/cohorts]")
@click.option("--allow-unauthenticated", is_flag=True, help="Bind an address other than loopback without logins.")
def command(studies: str, host: str, port: int, cohorts: Path | None, allow_unauthenticated: bool) -> None:
    """Start the MONAI Label server with the explain routes over the images in STUDIES, a folder or the address of a
    DICOMweb server (https://HOST/dicom-web; SLICERXAI_DICOM_CREDENTIALS names the file with USER:PASSWORD)."""
    from slicerxai.server.serve import serve

    serve(studies, host=host, port=port, cohorts=cohorts, allow_unauthenticated=allow_unauthenticated)
