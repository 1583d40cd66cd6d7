"""MONAI Label's settings as this package needs them."""

from __future__ import annotations

import os

from slicerxai.settings import settings

FIXED: dict[str, bool | str | list[str]] = {
    "MONAI_LABEL_TRACKING_ENABLED": False,  # its MLflow file store is refused by MLflow 3
    "MONAI_LABEL_AUTO_UPDATE_SCORING": False,  # a process at start and after every sample
    "MONAI_LABEL_DATASTORE_FILE_EXT": ["*.nii.gz", "*.nii", "*.nrrd"],
}


def configure() -> None:
    """Fix MONAI Label's settings in this process and in those it starts; call before the app is made.

    The stock `monailabel start_server` has read its settings by then, so both they and the environment are set.
    """
    import json

    os.environ.setdefault("PYTHONPATH", "")  # MONAI Label's background tasks read it unconditionally
    # torch would make a folder of a name that anyone can guess where all users may write
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(settings().home / "torch"))
    from monailabel.config import settings as monailabel_settings

    fixed = dict(FIXED)
    if not monailabel_settings.MONAI_LABEL_SESSION_PATH:
        fixed["MONAI_LABEL_SESSION_PATH"] = str(settings().home / "sessions")
    for name, value in fixed.items():
        setattr(monailabel_settings, name, value)
        os.environ[name] = value if isinstance(value, str) else json.dumps(value)
