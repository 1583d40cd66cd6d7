"""What the panel and its nodes say. No Qt and no MRML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slicer.i18n import tr as _
from XAILib.agreement import DERIVED, Agreement
from XAILib.cohorts import Case, shown
from XAIPanels.words import sentence

from .palette import hexadecimal, vote_colours

ONE_RATER = _("Only one rater has drawn this case; agreement needs two.")


def rater_name(rater: str) -> str:
    """A rater, for people."""
    return _("Rater {rater}").format(rater=rater) if rater.isdigit() else sentence(rater)


def centre(case: Case) -> str:
    """Of a table's row; a dash where it is not known."""
    return _of(case, ("centre", "center", "site", "hospital"))


def scanner(case: Case) -> str:
    """Of a table's row; a dash where it is not known."""
    return _of(case, ("scanner", "manufacturer", "device"))


def spacing(case: Case) -> str:
    """Of a table's row; a dash where it is not known."""
    return _of(case, ("spacing", "spacing_mm", "voxel_mm"))


def mm(sizes: Sequence[float]) -> str:
    """Spacings, such as "1 × 1 × 3 mm"."""
    return f"{' × '.join(f'{size:.3g}' for size in sizes)} mm"


def raters(names: Sequence[str]) -> str:
    """Short: "1–7, consensus"."""
    numbers = sorted(int(name) for name in names if name.isdigit())
    others = sorted(name for name in names if not name.isdigit())
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(texts + others) or "–"


def dice(value: float | None) -> str:
    """Two digits; a dash where there is none."""
    return "–" if value is None else f"{value:.2f}"


def millilitres(value: float) -> str:
    """Such as "12.3"."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def cases(number: int) -> str:
    """Such as "1 case" or "15 cases"."""
    return _("1 case") if number == 1 else _("{number} cases").format(number=number)


def legend(voters: int) -> str:
    """Rich text that explains the colours of the agreement map."""
    cells = "".join(
        f'<td bgcolor="{hexadecimal(colour)}">&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{count}&nbsp;&nbsp;</td>'
        for count, colour in enumerate(vote_colours(voters), 1)
    )
    text = escape(_("raters"))
    return f'<table cellspacing="0" cellpadding="1"><tr>{cells}<td>{text}</td></tr></table>'


def summary(agreement: Agreement) -> str:
    """How far the raters agree, in words."""
    drawn = [row for row in agreement.raters if row.rater not in DERIVED]
    mean = agreement.mean_dice
    if mean is None:
        return ONE_RATER
    low, high = min(row.volume_ml for row in drawn), max(row.volume_ml for row in drawn)
    return _("Mean Dice of the pairs of {count} raters: {mean}. They drew {low} to {high} ml.").format(
        count=len(drawn), mean=dice(mean), low=millilitres(low), high=millilitres(high)
    )


def _of(case: Case, keys: Sequence[str]) -> str:
    return next((shown(case.metadata[key]) for key in keys if key in case.metadata), "–")
