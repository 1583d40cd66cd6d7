"""What became of instances that were sent with STOW-RS (DICOM PS3.18 10.5, PS3.3 C.12.1.16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID

State = Literal["stored", "present", "failed"]
DUPLICATE = 0x0111
REASONS = {
    0x0110: "processing failure",
    0x0122: "objects of this class are not supported",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA900: "the object does not match its class",
    0xC000: "the object cannot be understood",
    0xC122: "this transfer syntax is not supported",
}


@dataclass(frozen=True)
class Outcome:
    """What became of one instance.

    Attributes:
        kind: what it is, in words of DICOM: "Segmentation Storage".
        instance: SOPInstanceUID.
        series: SeriesInstanceUID.
        state: "stored" now, "present" before, or "failed".
        reason: why it failed, in words; "" otherwise.
    """

    kind: str
    instance: str
    series: str
    state: State
    reason: str = ""


def present(dataset: Dataset) -> Outcome:
    """Of an instance that was there before."""
    return _outcome(dataset, "present")


def outcomes(datasets: Sequence[Dataset], status: int, said: Any) -> list[Outcome]:
    """What became of each instance, from the status and the DICOM JSON of the answer (None where it was none).

    An instance that the answer does not speak of has failed, unless all went well (200) and it speaks of none.
    """
    try:
        answer = Dataset.from_json(said[0] if isinstance(said, list) else said) if said else Dataset()
    except Exception:  # not what the standard describes; the status has to do
        answer = Dataset()
    stored = {str(one.get("ReferencedSOPInstanceUID")) for one in answer.get("ReferencedSOPSequence") or ()}
    failed = {
        str(one.get("ReferencedSOPInstanceUID")): int(one.get("FailureReason") or 0)
        for one in answer.get("FailedSOPSequence") or ()
    }
    silent = status == 200 and not stored and not failed
    found = []
    for dataset in datasets:
        uid = str(dataset.SOPInstanceUID)
        if uid in failed and failed[uid] == DUPLICATE:
            found.append(_outcome(dataset, "present"))
        elif uid in failed:
            found.append(_outcome(dataset, "failed", _reason(failed[uid])))
        elif uid in stored or silent:
            found.append(_outcome(dataset, "stored"))
        else:
            found.append(_outcome(dataset, "failed", f"the server did not say that it took it (status {status})"))
    return found


def _outcome(dataset: Dataset, state: State, reason: str = "") -> Outcome:
    uids = str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID)
    return Outcome(UID(str(dataset.SOPClassUID)).name, *uids, state, reason)


def _reason(code: int) -> str:
    return f"{REASONS.get(code, 'refused')} (failure reason {code:04X}H)"
