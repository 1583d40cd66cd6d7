"""The volumes of a result. For any thread."""

from __future__ import annotations

import numpy as np

from .document import damaged
from .i18n import tr as _
from .nrrd import Volume, decode
from .result import Result


def volume_of(result: Result, name: str) -> Volume:
    """A volume of a result. Raises `ServerError` when it is missing or cannot be read."""
    try:
        return decode(result.parts[name])
    except KeyError:
        raise damaged(_("it lacks its part “{name}”").format(name=name)) from None
    except ValueError as error:
        raise damaged(
            _("its part “{name}” cannot be read as a volume: {error}").format(name=name, error=error)
        ) from None


def labelmap_of(result: Result, name: str) -> Volume:
    """A label map as 0 and 1 (uint8)."""
    labels = volume_of(result, name)
    return Volume((labels.array >= 1).astype(np.uint8), labels.affine)
