"""Which files of the datastore are the channels of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from monailabel.interfaces.datastore import Datastore

from slicerxai.errors import InputError, NotFoundError


@runtime_checkable
class KnowsSequences(Protocol):
    """A datastore that reads from headers what others read from the names of images."""

    def channels(self, image: str, wanted: Sequence[str]) -> dict[str, str]:
        """The image that is each channel, by modality, for the case that an image belongs to."""
        ...

    def cases(self, channels: Sequence[str]) -> list[str]:
        """The images that stand for a case each, sorted."""
        ...


_MODALITIES = re.compile(r"(FLAIR|T1|T2|PD|GADO)", re.IGNORECASE)


def image_path(datastore: Datastore, image: str) -> Path:
    """The file of an image.

    Raises:
        NotFoundError: anything that is no id of the datastore, such as a path.
        InputError: the file is a link out of the studies.
    """
    _check(datastore, image)
    return inside(datastore, Path(datastore.get_image_uri(image)), f"image {image!r}")


def inside(datastore: Datastore, path: Path, what: str) -> Path:
    """The path with links followed. Raises `InputError` when it leaves the folder of the datastore."""
    root = Path(datastore._datastore_path).resolve()
    real = path.resolve()
    if not real.is_relative_to(root):
        msg = f"{what} is a link out of the folder of the studies, which is not followed"
        raise InputError(msg)
    return real


def channel_paths(datastore: Datastore, image: str, channels: tuple[str, ...]) -> dict[str, Path]:
    """The file of each channel.

    A model of one channel reads the image itself. For more, the image's id names its modality, and its siblings have
    the same id with another one: "patient01_FLAIR" and "patient01_T1".

    Raises:
        NotFoundError: no such image, or a sibling is missing.
        InputError: the id does not name a modality.
    """
    if isinstance(datastore, KnowsSequences):
        _check(datastore, image)
        return {channel: image_path(datastore, one) for channel, one in datastore.channels(image, channels).items()}
    path = image_path(datastore, image)
    if len(channels) == 1:
        return {channels[0]: path}
    parts = _MODALITIES.split(image)
    if len(parts) != 3:
        msg = f"the model reads {', '.join(channels)}; name the images by modality, such as patient01_{channels[0]}"
        raise InputError(msg)
    return {channel: image_path(datastore, parts[0] + channel + parts[2]) for channel in channels}


def case_images(datastore: Datastore, channels: tuple[str, ...]) -> list[str]:
    """Ids of the images that stand for a case each, sorted: all for a model of one channel; for more, a sibling of
    another modality is left out where there is one of the first (see `channel_paths`).
    """
    if isinstance(datastore, KnowsSequences):
        return datastore.cases(channels)
    images = sorted(datastore.list_images())
    if len(channels) == 1:
        return images
    known = set(images)

    def stands_for_a_case(image: str) -> bool:
        parts = _MODALITIES.split(image)
        if len(parts) != 3:
            return True
        first = parts[0] + channels[0] + parts[2]
        return image == first or first not in known

    return [image for image in images if stands_for_a_case(image)]


def _check(datastore: Datastore, image: str) -> None:
    if image not in datastore.list_images():
        msg = f"no image {image!r} among the studies; GET /datastore/?output=all lists the known ones"
        raise NotFoundError(msg)
