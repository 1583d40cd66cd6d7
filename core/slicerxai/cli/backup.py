"""`slicerxai backup FILE`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--studies",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of images whose labels and worklists are saved too; the images are not.",
)
@click.option("--force", is_flag=True, help="Replace FILE.")
def command(file: Path, studies: Path | None, force: bool) -> None:
    """Save models, alarms, jobs, results, the audit log and the keys to FILE; the server may go on."""
    from slicerxai.server.backup import make_backup
    from slicerxai.settings import settings

    saved = make_backup(file, settings().home, studies, force=force)
    click.echo(
        f"saved {saved.files} files, {saved.bytes / 1e6:.1f} MB, to {file}; it holds keys, keep it as you keep them"
    )
