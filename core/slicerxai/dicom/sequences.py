"""Which sequence an MR series is, from what its header says: FLAIR, T1, T2, PD or GADO – or why that is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import guarded

MODALITIES = ("FLAIR", "T1", "T2", "PD", "GADO")

_OTHER = {
    "diffusion": r"\b(dwi|dti|adc|trace\w*|diff\w*|ep2d|tensor)\b",
    "susceptibility": r"\b(swi|swan|swip|venobold|qsm)\b",
    "T2*": r"\bt2 ?(\*|star)|\b(gre|hemo|fl2d)\b.*\bt2|\bt2\w* ?(gre|fl2d|ffe)\b",
    "angiography": r"\b(tof|mra|angio\w*|mip|pca|veno\w*)\b",
    "perfusion": r"\b(perf\w*|asl|dsc|dce|cbf|cbv|mtt)\b",
    "functional imaging": r"\b(bold|fmri)\b",
    "localiser": r"\b(loc|locali[sz]er\w*|scout\w*|survey|smartbrain|aahead\w*|plan)\b",
    "double or phase-sensitive inversion recovery": r"\b(dir|psir|stir)\b",
    "field or phase map": r"\b(field ?map\w*|phase|b0 ?map|b1 ?map\w*)\b",
    "subtraction": r"\b(sub|subtraction|subtracted)\b",
    "spine": r"\b\w*spin(e|al)\b|\b(cervical|thoracic|lumbar|hws|bws|lws|myel\w*|medull\w*|rachis)\b",
    "quantitative map": r"\bt[12] ?map\w*|\b(mt|mtr)\b",
}
_FLAIR = r"flair|dark ?fluid"
_WORDS = {
    "T1": r"\bt1|mp ?rage|\b(f?spgr|bravo|tfl3d|vibe)\b",
    "T2": r"\bt2",
    "PD": r"\b(pdw?|dp|rho|proton\w*|densite\w*)\b",
}
_AGENT_WORDS = r"(contrast\w*|gad\w*|gd\w*|c|km|inj\w*|ce|mdc)\b"
_CONTRAST = r"\b(gad\w*|gd\w*|contrast\w*|ce|km|inj\w*|mdc)\b|\+ ?c\b|\bc ?\+|\bpost\b(?! ?op)"
_WITHOUT = (
    rf"\b(pre|nativ\w*|unenhanced)\b( ?{_AGENT_WORDS})?"
    rf"|\b(without|sans|ohne|non?|w ?o|before|vor|avant)\b ?{_AGENT_WORDS}"
)
_NO_AGENT = {"", "NO", "NONE", "N", "0", "WITHOUT", "NO CONTRAST", "NONE GIVEN"}
_IMAGE_TYPES = {
    "LOCALIZER": "localiser",
    "ADC": "diffusion",
    "DIFFUSION": "diffusion",
    "TRACEW": "diffusion",
    "PERFUSION": "perfusion",
    "PROJECTION IMAGE": "projection",
    "MIP": "projection",
    "MNIP": "projection",
    "MOSAIC": "mosaic of slices",
    "PHASE": "field or phase map",
    "PHASE MAP": "field or phase map",
    "P": "field or phase map",
    "SUBTRACTION": "subtraction",
}


@dataclass(frozen=True)
class Recognised:
    """What a header says of the sequence.

    Attributes:
        modality: "FLAIR", "T1", "T2", "PD" or "GADO" (T1 after contrast); None when it is none of these or the header
            contradicts itself.
        reason: what it was read from, or why it is not known; free of patient data.
    """

    modality: str | None
    reason: str


@dataclass(frozen=True)
class _Timing:
    """Echo, repetition and inversion time in ms, None where not stated; whether it is a gradient or an IR sequence."""

    echo: float | None
    repetition: float | None
    inversion: float | None
    gradient: bool
    inverted: bool

    def __str__(self) -> str:
        named = {"TE": self.echo, "TR": self.repetition, "TI": self.inversion}
        return ", ".join(f"{name} {value:g} ms" for name, value in named.items() if value is not None)


def recognise(header: Dataset) -> Recognised:
    """The sequence of an MR instance; also of a header without pixels, as DICOMweb's metadata give it.

    The words of SeriesDescription and ProtocolName and the timing (EchoTime, RepetitionTime, InversionTime) are read
    apart. Where both speak they must agree; contrast is stated by ContrastBolusAgent or the words.
    """
    words = _words(header)
    if other := _other(header, words):
        return Recognised(None, f"another kind of image: {other}")
    timing = _timing(header)
    named, measured = _named(words), _measured(timing)
    if len(named) > 1:
        named = {measured} & named if measured else named
    if len(named) > 1:
        return Recognised(None, f"the description names {' and '.join(sorted(named))}, and the timing does not decide")
    weighting = next(iter(named), None)
    if weighting is None:
        return _from_timing(header, words, timing, measured)
    if measured and measured != weighting and not _explained(weighting, measured, timing):
        return Recognised(None, f"the description says {weighting}, but {timing} is that of {measured}")
    return _with_contrast(header, words, weighting, f"description says {weighting}" + _agreeing(timing, measured))


def _agreeing(timing: _Timing, measured: str | None) -> str:
    return f"; {timing} agrees" if measured else "; the timing says nothing"


def _from_timing(header: Dataset, words: str, timing: _Timing, measured: str | None) -> Recognised:
    if measured is None or (timing.gradient and timing.inversion is None):
        stated = str(timing) or "no timing stated"
        return Recognised(None, f"neither description nor timing names the sequence ({stated})")
    return _with_contrast(header, words, measured, f"the description names none; {timing} is that of {measured}")


def _with_contrast(header: Dataset, words: str, weighting: str, reason: str) -> Recognised:
    """T1 after contrast is GADO; other weightings keep their name."""
    if weighting != "T1":
        return Recognised(weighting, reason)
    agent = any(name.strip().upper() not in _NO_AGENT for name in _agents(header))
    before = re.search(_WITHOUT, words) is not None
    after = re.search(_CONTRAST, re.sub(_WITHOUT, " ", words)) is not None
    if before and (agent or after):
        return Recognised(None, "T1, but it is said to be both before and after contrast")
    if agent or after:
        return Recognised("GADO", f"{reason}; contrast stated by the {'agent' if agent else 'description'}")
    return Recognised("T1", f"{reason}; no contrast stated")


def _named(words: str) -> set[str]:
    """Weightings that the words name; "T1 FLAIR" is a T1, any other FLAIR is a FLAIR."""
    found = {name for name, pattern in _WORDS.items() if re.search(pattern, words)}
    if re.search(_FLAIR, words):
        return {"T1"} if "T1" in found and "T2" not in found else {"FLAIR"}
    return found


def _measured(timing: _Timing) -> str | None:
    """The weighting that the timing alone stands for, in ranges usual at 1.5 and 3 T; None where it is not typical."""
    echo, repetition, inversion = timing.echo, timing.repetition, timing.inversion
    if echo is None or repetition is None or (inversion is None and timing.inverted):
        return None
    if inversion is not None:
        typical = {"FLAIR": inversion >= 1400 and echo >= 60, "T1": 300 <= inversion < 1400 and echo <= 40}
    elif timing.gradient:
        typical = {"T1": echo <= 10 and repetition <= 1200}
    else:
        typical = {
            "T1": repetition <= 1200 and echo <= 35,
            "T2": repetition >= 1800 and echo >= 60,
            "PD": repetition >= 1800 and echo <= 45,
        }
    return next((name for name, fits in typical.items() if fits), None)


def _explained(weighting: str, measured: str, timing: _Timing) -> bool:
    """A FLAIR whose inversion time is not stated has the timing of a T2."""
    return weighting == "FLAIR" and measured == "T2" and timing.inversion is None


def _other(header: Dataset, words: str) -> str | None:
    for kind in _values(header, "ImageType"):
        if kind.strip().upper() in _IMAGE_TYPES:
            return _IMAGE_TYPES[kind.strip().upper()]
    return next((name for name, pattern in _OTHER.items() if re.search(pattern, words)), None)


def _words(header: Dataset) -> str:
    keywords = ("SeriesDescription", "ProtocolName", "BodyPartExamined")
    joined = " ".join(value for keyword in keywords for value in _values(header, keyword))
    return " ".join(re.sub(r"[^a-z0-9+*]+", " ", joined.lower().replace("é", "e")).split())


def _timing(header: Dataset) -> _Timing:
    pulse = {value.strip().upper() for value in _values(header, "ScanningSequence")}
    pulse |= {value.strip().upper() for value in _values(header, "EchoPulseSequence")}
    inversion = _number(header, "InversionTime", "InversionTimes")
    return _Timing(
        echo=_number(header, "EchoTime", "EffectiveEchoTime"),
        repetition=_number(header, "RepetitionTime"),
        inversion=inversion or None,
        gradient=bool(pulse & {"GR", "GRADIENT"}),
        inverted="IR" in pulse,
    )


def _agents(header: Dataset) -> list[str]:
    named = _values(header, "ContrastBolusAgent")
    coded = guarded("the contrast agent", lambda: list(header.get("ContrastBolusAgentSequence") or []))
    return named + [str(item.get("CodeMeaning", "coded agent")) for item in coded]


def _number(header: Dataset, *keywords: str) -> float | None:
    for keyword in keywords:
        for value in _values(header, keyword):
            try:
                return float(value)
            except ValueError:
                continue
    return None


def _values(header: Dataset, keyword: str) -> list[str]:
    """The values of an attribute as text, wherever an enhanced image keeps it; none when absent or damaged."""
    for part in _places(header):
        if keyword in part:
            try:
                value = part.get(keyword)
            except Exception:
                return []
            if value is None:
                return []
            return [str(one) for one in (value if isinstance(value, list | MultiValue) else [value])]
    return []


def _places(header: Dataset) -> Iterator[Dataset]:
    yield header
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        try:
            groups = list(header.get(keyword) or [])[:1]
            yield from (e.value[0] for group in groups for e in group if e.VR == "SQ" and len(e.value) > 0)
        except Exception as error:
            raise DicomError(f"{keyword}: damaged DICOM ({type(error).__name__})", "unreadable") from error
