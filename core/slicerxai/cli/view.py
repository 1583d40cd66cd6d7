"""`slicerxai view [FILES…]`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("view")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--server", "url", help="Address of the explain server to connect to.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port to bind; 0 takes a free one."
)
@click.option("--allow-others", is_flag=True, help="Bind an address other than loopback.")
def command(files: tuple[Path, ...], url: str | None, host: str, port: int, allow_others: bool) -> None:
    """Open the radiologist's workflow as a page for the browser, with FILES (.nii, .nii.gz, .nrrd) in it.

    One line says where it is. Predictions and explanations are made by the explain server (`slicerxai serve`).
    """
    from slicerxai.viewer.serve import serve

    serve(url, host, port, files, allow_others)
