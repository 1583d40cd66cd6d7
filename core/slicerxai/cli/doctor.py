"""`slicerxai doctor`."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import click
from packaging.requirements import Requirement

from slicerxai.settings import settings


class Finding(NamedTuple):
    """One thing that was looked at; `fix` is empty when it is as it should be."""

    name: str
    state: str
    fix: str


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(as_json: bool) -> None:
    """Check this installation and say what to fix. Exit code 1 when something must be fixed."""
    findings = [finding for check in CHECKS for finding in check()]
    broken = [finding for finding in findings if finding.fix]
    if as_json:
        click.echo(json.dumps({"ok": not broken, "findings": [finding._asdict() for finding in findings]}))
    else:
        for finding in findings:
            mark = "FIX " if finding.fix else "ok  "
            click.echo(f"{mark}{finding.name}: {finding.state}" + (f" -> {finding.fix}" if finding.fix else ""))
        click.echo("everything is in order" if not broken else f"{len(broken)} to fix")
    if broken:
        click.get_current_context().exit(1)


def _python() -> Iterator[Finding]:
    supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    yield Finding("python", platform.python_version(), "" if supported else "use Python 3.11 or 3.12")


def _packages() -> Iterator[Finding]:
    for line in requires("slicerxai") or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield Finding(requirement.name, "not installed", f'pip install -c constraints.txt "{line}"')
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        yield Finding(requirement.name, found, "" if fits else f'pip install -c constraints.txt "{line}"')


def _imports() -> Iterator[Finding]:
    for name in ("torch", "monai", "nnunetv2", "captum", "zennit", "SimpleITK", "nrrd"):
        try:
            import_module(name)
        except Exception as error:
            yield Finding(f"import {name}", f"{type(error).__name__}: {error}", f"pip install --force-reinstall {name}")


def _device() -> Iterator[Finding]:
    from slicerxai import runtime
    from slicerxai.errors import InputError

    cores = f"{settings().threads} of {os.cpu_count()} CPU threads"
    try:
        yield Finding("device", f"{runtime.device()}, {cores}", "")
    except InputError as error:
        yield Finding("device", str(error), "unset SLICERXAI_DEVICE")


def _home() -> Iterator[Finding]:
    home = settings().home
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        yield Finding("home", f"{home}: {error.strerror}", "set SLICERXAI_HOME to a folder that you can write")
        return
    writable = os.access(home, os.W_OK)
    yield Finding("home", str(home), "" if writable else "set SLICERXAI_HOME to a folder that you can write")
    free = shutil.disk_usage(home).free / 2**30
    yield Finding("free disk", f"{free:.1f} GiB", "" if free >= 2 else "make room: results and training need 2 GiB")


def _models() -> Iterator[Finding]:
    from slicerxai import runtime
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    if not store.names():
        yield Finding("models", "none yet; make one with: slicerxai demo", "")
    for name in store.names():
        try:
            model = store.load(name, runtime.device())
        except Exception as error:
            folder: Path = settings().models / name
            yield Finding(f"model {name}", f"{type(error).__name__}: {error}", f"train it again or remove {folder}")
        else:
            yield Finding(f"model {name}", f"{model.info.kind}, {', '.join(model.info.channels)}", "")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (_python, _packages, _imports, _device, _home, _models)
