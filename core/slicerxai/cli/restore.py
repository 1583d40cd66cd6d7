"""`slicerxai restore FILE`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--studies",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of images whose labels and worklists are restored too.",
)
@click.option("--force", is_flag=True, help="Put aside what is there already.")
def command(file: Path, studies: Path | None, force: bool) -> None:
    """Put a backup in place, checked whole before anything changes. The server must be stopped."""
    from slicerxai.server.restore import restore_backup
    from slicerxai.settings import settings

    done = restore_backup(file, settings().home, studies, force=force)
    click.echo(f"restored {done.files} files to {settings().home}")
    if done.studies_left:
        click.echo(f"left out: {done.studies_left} files of labels and worklists; name their folder with --studies")
    for folder in done.replaced:
        click.echo(f"what was there before is in {folder}; delete it when you are sure")
