"""What explanations of a case have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Overlay
from slicerxai.models.protocols import Prepared
from slicerxai.saliency import domain
from slicerxai.saliency.finding import Finding


def slug(name: str) -> str:
    """The name with only the characters that an overlay's name may have."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def slugs(names: Sequence[str]) -> list[str]:
    """One for each name; all are numbered where two would be the same or differ in case alone."""
    plain = [slug(name)[:80] for name in names]
    if len({name.lower() for name in plain}) == len(plain):
        return plain
    return [f"{number}_{name}" for number, name in enumerate(plain, 1)]


def image_overlays(images: Mapping[str, Volume], channels: Sequence[str]) -> dict[str, Overlay]:
    """The images that the model reads."""
    return {name: Overlay(images[name], "image", "intensity", f"{name}, as given.") for name in channels}


def domain_findings(prepared: Prepared, channels: tuple[str, ...], brain: bool) -> list[Finding]:
    """Whether it is such an image as the model knows.

    Args:
        brain: the model reads whole, skull-stripped brains.
    """
    findings = [domain.intensity_range(prepared.tensor.numpy(), channels)]
    if brain:
        findings += [domain.background_share(prepared.reference), domain.brain_extent(prepared.reference)]
    return findings
