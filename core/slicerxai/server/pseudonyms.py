"""Names of images and patients as they may stand in logs: the same name always gives the same pseudonym, and only who
has the key of this installation can tell which name it was.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache
from pathlib import Path

from filelock import FileLock

from slicerxai.data.files import private_file
from slicerxai.settings import settings

KEY_FILE = "pseudonym.key"
"""Below HOME; readable by its owner alone. Without it old and new pseudonyms of an image differ."""
KEY_BYTES = 32


def pseudonym(name: str) -> str:
    """ "id-" and 16 hexadecimal digits of HMAC-SHA256 of the name under this installation's key.

    Raises `OSError` when the key can neither be read nor made.
    """
    tag = hmac.new(_key(settings().home / KEY_FILE), name.encode("utf-8", "surrogatepass"), hashlib.sha256)
    return f"id-{tag.hexdigest()[:16]}"


@lru_cache(maxsize=4)
def _key(path: Path) -> bytes:
    """The key; made when there is none. Several processes may ask at one time."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(path.name + ".lock")):
            if not path.exists():
                with private_file(path) as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
    return path.read_bytes()
