"""Coloured words that can be read on the ground that they stand on, light or dark."""

from __future__ import annotations

from functools import lru_cache

CONTRAST = 4.5
"""Of text, by WCAG 2.1, 1.4.3 (level AA)."""
STEP = 0.02
_grounds: list[tuple[str, ...]] = [("#ffffff", "#efefef")]


def use(*grounds: str) -> None:
    """From now on words stand on these colours, such as "#efefef"."""
    _grounds[0] = tuple(dict.fromkeys(grounds))


def readable(colour: str) -> str:
    """The colour, lightened on dark ground and darkened on light ground as far as its words need to be read."""
    return _readable(colour, _grounds[0])


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.1, 1 to 21."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=256)
def _readable(colour: str, grounds: tuple[str, ...]) -> str:
    end = "#ffffff" if sum(map(_luminance, grounds)) / len(grounds) < 0.18 else "#000000"
    share = 0.0
    while share < 1:
        mixed = _mixed(colour, end, share)
        if min(contrast(mixed, ground) for ground in grounds) >= CONTRAST:
            return mixed
        share += STEP
    return end


def _mixed(colour: str, end: str, share: float) -> str:
    pairs = zip(_values(colour), _values(end))
    return "#" + "".join(f"{round(one + (other - one) * share):02x}" for one, other in pairs)


def _values(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))


def _luminance(colour: str) -> float:
    parts = [value / 255 for value in _values(colour)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
