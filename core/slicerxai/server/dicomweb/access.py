"""Where the DICOMweb server is and how it lets us in: address, credentials, certificates. None of it is ever logged."""

from __future__ import annotations

import logging
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests

from slicerxai.errors import InputError
from slicerxai.server.confinement import is_loopback
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
USER, PASSWORD = "SLICERXAI_DICOM_USER", "SLICERXAI_DICOM_PASSWORD"


@dataclass(frozen=True)
class Access:
    """A DICOMweb server as this one reaches it.

    Attributes:
        url: without a slash at its end, such as "https://pacs.example.org/dicom-web".
        credentials: user and password; None without.
        certificates: file of the authorities that may vouch for the server; those of the system by default.
        timeout: s without any byte before a request is given up.
    """

    url: str
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    certificates: Path | None = None
    timeout: float = 30.0

    def session(self) -> requests.Session:
        """A session with credentials; certificates are always verified, and no other source of credentials is read."""
        session = requests.Session()
        session.trust_env = False  # neither ~/.netrc nor a proxy gets to see anything
        session.auth = self.credentials
        if self.certificates is not None:
            session.verify = str(self.certificates)
        return session


def is_url(studies: str) -> bool:
    """Whether the studies are a DICOMweb server's, not a folder's."""
    return studies.lower().startswith(("http://", "https://"))


def access_of(url: str) -> Access:
    """The access to a server under the settings of this process.

    Raises:
        InputError: a malformed address or one that holds a password, or unusable credentials or certificates.
    """
    chosen = settings()
    if chosen.dicom_certificates is not None and not chosen.dicom_certificates.is_file():
        msg = f"{chosen.dicom_certificates}: no such file; SLICERXAI_DICOM_CERTIFICATES names a PEM file"
        raise InputError(msg)
    access = Access(
        checked_url(url), credentials(chosen.dicom_credentials), chosen.dicom_certificates, chosen.dicom_timeout
    )
    if access.url.lower().startswith("http://") and not is_loopback(urlsplit(access.url).hostname or ""):
        logger.warning(
            "the DICOMweb server is reached without encryption: images and credentials can be read on the way"
        )
    return access


def checked_url(url: str) -> str:
    """The address without a slash at its end. Raises `InputError`, which never shows a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
        parts = urlsplit("")
    if parts.scheme.lower() not in {"http", "https"} or not host:
        msg = "bad address of a DICOMweb server; https://HOST/dicom-web or http://HOST:PORT/dicom-web is accepted"
        raise InputError(msg)
    if "@" in parts.netloc:
        msg = (
            f"the address holds credentials, which every user of this machine can see; set {USER} and {PASSWORD}, or "
            "SLICERXAI_DICOM_CREDENTIALS to a file that holds USER:PASSWORD"
        )
        raise InputError(msg)
    if parts.query or parts.fragment:
        msg = "the address of a DICOMweb server has no '?' and no '#'"
        raise InputError(msg)
    return url.rstrip("/")


def credentials(file: Path | None) -> tuple[str, str] | None:
    """User and password of a file, else of the environment; None when neither says them.

    Raises:
        InputError: the file is missing, can be read by others, or does not hold USER:PASSWORD.
    """
    if file is None:
        user, password = os.environ.get(USER), os.environ.get(PASSWORD)
        if (user is None) != (password is None):
            msg = f"set both {USER} and {PASSWORD}, or neither"
            raise InputError(msg)
        return None if user is None or password is None else (user, password)
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file}: cannot be read ({type(error).__name__}); it holds USER:PASSWORD in one line"
        raise InputError(msg) from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        msg = f"{file}: others can read it (mode {stat.S_IMODE(mode):o}); chmod 600 {file}"
        raise InputError(msg)
    user, colon, password = text.partition(":")
    if not colon or not user or "\n" in text:
        msg = f"{file}: does not hold USER:PASSWORD in one line"
        raise InputError(msg)
    return user, password
