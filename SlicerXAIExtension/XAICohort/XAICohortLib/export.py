"""The agreement of the raters of a case as a table. No Qt and no MRML."""

from __future__ import annotations

import csv
import io

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
