"""The agreement of the raters of a case as a table in a file. No Qt and no MRML."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from slicer.i18n import tr as _
from XAILib.agreement import Agreement


def table(case: str, agreement: Agreement) -> str:
    """One row for each rater, as CSV: volume, lesions, and Dice with the consensus and every rater."""
    names = [row.rater for row in agreement.raters]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "rater", "volume_ml", "lesions", "dice_consensus", *(f"dice_{name}" for name in names)])
    for row, overlaps in zip(agreement.raters, agreement.dice):
        dice = "" if row.dice is None else f"{row.dice:.4f}"
        numbers = [f"{row.volume_ml:.4f}", row.lesions, dice, *(f"{value:.4f}" for value in overlaps)]
        writer.writerow([case, row.rater, *numbers])
    return text.getvalue()


def write_table(path: Path, case: str, agreement: Agreement) -> str:
    """Write it; what came of that, in words."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(table(case, agreement), encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        return _("The table cannot be written to {path} ({reason}); choose another place.").format(
            path=path, reason=error.strerror
        )
    return _("The table is saved as {path}.").format(path=path)
