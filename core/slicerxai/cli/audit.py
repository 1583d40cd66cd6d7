"""`slicerxai audit [STUDY]`."""

from __future__ import annotations

import json

import click

from slicerxai.settings import settings


@click.command("audit")
@click.argument("study", required=False)
@click.option("--user", help="Only what this user did.")
def command(study: str | None, user: str | None) -> None:
    """Print the server's audit log, one JSON object a line, oldest first.

    STUDY is an image id, a session id, a cohort or COHORT/CASE: only what was done with it. The log itself names no
    study; it has pseudonyms, which this installation alone can tell.
    """
    from slicerxai.server.audit_log import entries
    from slicerxai.server.pseudonyms import pseudonym

    sought = None if study is None else pseudonym(study)
    for entry in entries(settings().audit):
        if (sought is None or sought in entry.get("studies", ())) and (user is None or entry.get("user") == user):
            click.echo(json.dumps(entry, ensure_ascii=False))
