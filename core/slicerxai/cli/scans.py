"""The scan that a command works on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slicerxai.errors import InputError


def images_by_modality(arguments: Sequence[str], channels: Sequence[str]) -> dict[str, Path]:
    """`--image` arguments, each `PATH` (for a model of one channel) or `MODALITY=PATH`, by modality."""
    if len(arguments) == 1 and len(channels) == 1 and "=" not in Path(arguments[0]).name:
        paths = {channels[0]: Path(arguments[0])}
    else:
        pairs = [argument.partition("=") for argument in arguments]
        paths = {modality.upper(): Path(path) for modality, equals, path in pairs if equals}
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
