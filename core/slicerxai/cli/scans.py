"""The scan that a command works on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from slicerxai.errors import InputError

_NAMED = re.compile(r"(?P<modality>[A-Za-z0-9]+)=(?P<path>.+)")


def images_by_modality(arguments: Sequence[str], channels: Sequence[str]) -> dict[str, Path]:
    """`--image` arguments, each `PATH` (for a model of one channel) or `MODALITY=PATH`, by modality."""
    matches = [_NAMED.fullmatch(argument) for argument in arguments]
    if len(arguments) == 1 and len(channels) == 1 and (matches[0] is None or Path(arguments[0]).exists()):
        paths = {channels[0]: Path(arguments[0])}
    else:
        paths = {match["modality"].upper(): Path(match["path"]) for match in matches if match}
        if len(paths) != len(arguments) or set(paths) != set(channels):
            wanted = " ".join(f"--image {channel}=PATH" for channel in channels)
            msg = f"the model needs {', '.join(channels)}, got {', '.join(arguments)!r}; type {wanted}"
            raise InputError(msg)
    for path in paths.values():
        if not path.is_file():
            msg = f"{path}: no such file"
            raise InputError(msg)
    return paths


def scan_name(path: Path) -> str:
    """File name without its suffixes: `flair.nii.gz` is `flair`."""
    return path.name.split(".")[0]
