"""What is wrong with DICOM files, in words fit to be shown.

No message names a patient: it names files, series numbers, positions and accepted values. A file name can hold a name;
whoever chooses file names of received objects keeps identifiers out of them.
"""

from __future__ import annotations

from typing import Literal

from slicerxai.errors import InputError

Fault = Literal["missing", "unreadable", "compressed", "pixels", "size", "geometry", "sequence", "reference"]


class DicomError(InputError):
    """DICOM objects that cannot be used, or results that cannot be written for them.

    Attributes:
        fault: "missing" file, "unreadable" file or header, "compressed" without a decoder here, unusable "pixels", too
            large a "size", a "geometry" that is no volume, an ambiguous "sequence", a missing "reference" to the
            patient's frame.
    """

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault: Fault = fault
