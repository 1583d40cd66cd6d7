"""The codes of DICOM PS3.16, SNOMED CT, LOINC and UCUM that results are written with."""

from __future__ import annotations

import hashlib

from pydicom.sr.coding import Code

from slicerxai.dicom.words import shortened

ALTERED_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
LESION = Code("52988006", "SCT", "Lesion")
BRAIN = Code("12738006", "SCT", "Brain")
VOLUME = Code("118565006", "SCT", "Volume")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
DEVICE = Code("121007", "DCM", "Device")
COMMENT = Code("121106", "DCM", "Comment")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
MR_BRAIN = Code("24590-2", "LN", "MR Brain")

SCHEME = "99SLICERXAI"
"""Coding scheme of the measurements that have no code elsewhere."""

_UCUM = {"mm": "millimeter", "ml": "milliliter", "1": "no units"}
_SHORT_STRING = 16
_MEASURED = {"lesion_volume_ml": VOLUME}


def unit(units: str) -> Code:
    """A unit of UCUM: "mm", "ml", "1"; other words become the meaning of a number without unit."""
    if units in _UCUM:
        return Code(units, "UCUM", _UCUM[units])
    return Code("1", "UCUM", shortened(units) or "no units")


def measured(name: str) -> Code:
    """What a measurement of this name is; the code of this package's own scheme holds the name or its digest."""
    if name in _MEASURED:
        return _MEASURED[name]
    short = name if len(name) <= _SHORT_STRING else hashlib.sha256(name.encode()).hexdigest()[:_SHORT_STRING]
    return Code(short, SCHEME, shortened(name.replace("_", " ")))
