"""Tables, pictures and the page of an experiment, made from its folder alone; can be repeated at any time."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Template

from slicerxai.data.files import replaced_bytes, replaced_text
from slicerxai.pages import page_templates
from slicerxai.shift.experiments import figures
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.parameters import AnalysisName
from slicerxai.shift.experiments.summary import PARTS, Entry, Failure, Row, as_csv, collect, table
from slicerxai.shift.options import MetricName

TITLES: Final = {
    "raters": "Trained on one rater, tested on another",
    "centres": "Trained at some centres, tested at others",
}
MEANINGS: Final[dict[AnalysisName, str]] = {
    "robust": "regression corrected by weights, from the two samples alone.",
    "weighting": "conditional weights, calibrated and truncated, from the two samples alone.",
    "plain": "the published estimator: source cases reweighted by the formula as printed.",
    "paired": "the annotation exchanged and observed: the same images with both raters' masks.",
    "harmonised": "the acquisition exchanged: images carried over to the other side's look.",
}
TRUTHS: Final = {
    "raters": "Truth: every test image carries both raters' masks, so that the performance with the annotation "
    "exchanged is observed. Patients and images are the same on both sides; their true share is zero.",
    "centres": "Truth: the phantom's test patients were scanned again in the other side's scanners. It is that of "
    "these very patients; the population's share holds the chance difference between two groups of patients.",
}
UNKNOWN: Final = "The truth is not known for this cohort."


@dataclass(frozen=True)
class Picture:
    """One figure with its file name."""

    name: str
    png: bytes
    caption: str

    @property
    def src(self) -> str:
        """As the address of an <img>."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def write_report(folder: ExperimentFolder) -> Path:
    """Write `matrix.csv`, `table.csv`, `figures/*.png` and, last, `report.html`, whose path is returned.

    Pairs that are not there yet are named in the page. Raises `InputError` when this is no folder of an experiment.
    """
    description = folder.description()
    rows, failures = collect(folder)
    entries = table(rows)
    replaced_text(folder.path / "matrix.csv", as_csv(rows, Row))
    replaced_text(folder.path / "table.csv", as_csv(entries, Entry))
    pictures = _pictures(description["models"]["kind"], rows)
    for picture in pictures:
        replaced_bytes(folder.path / "figures" / picture.name, picture.png)
    page = folder.path / "report.html"
    replaced_text(page, _template().render(**_content(description, rows, entries, failures, pictures)))
    return page


def _pictures(kind: str, rows: Sequence[Row]) -> list[Picture]:
    found = []
    for metric in dict.fromkeys(row.metric for row in rows):
        own = [row for row in rows if row.metric == metric]
        name = figures.METRIC_NAMES[metric]
        parts = [part for part in PARTS if any(row.part == part for row in own)]
        if kind == "raters":
            for analysis in dict.fromkeys(row.analysis for row in own):
                some = [row for row in own if row.analysis == analysis]
                caption = (
                    f"{name}, attributed by {analysis}: share of the drop with its interval, and below it the "
                    "performance against the column's rater; on the diagonal against the rater that was learned."
                )
                found.append(Picture(f"matrix-{metric}-{analysis}.png", figures.matrices(some), caption))
            caption = f"{name}: estimated share of the annotation against the observed one; one point a pair."
            found.append(Picture(f"truth-{metric}.png", figures.against_truth(own, "annotation"), caption))
        else:
            caption = f"{name}: shares of the drop with their intervals, for each rater that it is scored against."
            found.append(Picture(f"shares-{metric}.png", figures.shares(own, parts), caption))
    return found


def _content(
    description: dict[str, Any],
    rows: Sequence[Row],
    entries: Sequence[Entry],
    failures: Sequence[Failure],
    pictures: Sequence[Picture],
) -> dict[str, Any]:
    models, comparison = description["models"], description["comparison"]
    kind = models["kind"]
    raters = len(comparison["raters"])
    wanted = raters * (raters - 1) if kind == "raters" else raters
    done = len({row.pair for row in rows} | {one.pair for one in failures})
    metrics: list[MetricName] = list(dict.fromkeys(row.metric for row in rows))
    kinds: list[AnalysisName] = list(dict.fromkeys(row.analysis for row in rows))
    parts = [part for part in PARTS if any(row.part == part for row in rows)]
    return {
        "title": TITLES[kind],
        "cohort": models["cohort"],
        "version": description["version"],
        "summary": _summary(models, wanted),
        "missing": f"{wanted - done} of {wanted} pairs are still to be compared." if done < wanted else "",
        "pairs": len({row.pair for row in rows}),
        "pairs_are": "ordered pairs of raters" if kind == "raters" else "raters that it is scored against",
        "level": f"{comparison['attribution']['level']:.0%}",
        "tables": [
            (
                analysis,
                [figures.METRIC_NAMES[metric] for metric in metrics],
                [
                    (figures.NAMES[part], [_cell(_find(entries, analysis, metric, part)) for metric in metrics])
                    for part in parts
                ],
            )
            for analysis in kinds
        ],
        "meanings": MEANINGS,
        "verdicts": {analysis: _verdicts([row for row in rows if row.analysis == analysis]) for analysis in kinds},
        "truth": TRUTHS[kind] if any(row.truth is not None for row in rows) else UNKNOWN,
        "figures": pictures,
        "parts": parts,
        "every": _every(rows, parts),
        "failures": failures,
        "facts": _facts(description),
    }


def _summary(models: dict[str, Any], pairs: int) -> str:
    learned = " or ".join(sorted({str(len(one["cases"])) for one in models["learn"].values()}))
    trained = len(models["learn"])
    return (
        f"{trained} {models['trainer']} model{'s' * (trained != 1)} trained on {learned} cases, "
        f"tested on {len(models['test'])} others; {pairs} comparisons."
    )


def _find(entries: Sequence[Entry], analysis: AnalysisName, metric: MetricName, part: str) -> Entry | None:
    keys = (analysis, metric, part)
    return next((entry for entry in entries if (entry.analysis, entry.metric, entry.part) == keys), None)


def _cell(entry: Entry | None) -> dict[str, str]:
    if entry is None:
        return dict.fromkeys(("value", "truth", "rmse", "covered"), "–")
    spread = "" if entry.sd is None else f" ± {entry.sd:z.1f}"
    return {
        "value": f"{entry.mean:z.1f}{spread} [{entry.low:z.1f}, {entry.high:z.1f}]",
        "truth": "–" if entry.true_mean is None else f"{entry.true_mean:z.1f}",
        "rmse": "–" if entry.rmse is None else f"{entry.rmse:z.1f}",
        "covered": "–" if entry.covered is None else f"{entry.covered:.0%}",
    }


def _verdicts(rows: Sequence[Row]) -> str:
    counts = Counter(row.verdict for row in rows if row.part == "drop")
    listed = ", ".join(f"{counts[name]} {name}" for name in ("reliable", "caution", "unreliable") if counts[name])
    return f"Verdicts of the attributions: {listed}."


def _every(rows: Sequence[Row], parts: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in rows:
        groups.setdefault((row.pair, row.analysis, row.metric), {})[row.part] = row
    return [
        {
            "pair": pair,
            "analysis": analysis,
            "metric": metric,
            "source": f"{group['drop'].source_mean:z.1f}",
            "target": f"{group['drop'].target_mean:z.1f}",
            "cells": [_shown(group.get(part)) for part in parts],
            "verdict": group["drop"].verdict,
        }
        for (pair, analysis, metric), group in groups.items()
    ]


def _shown(row: Row | None) -> str:
    return "–" if row is None else f"{row.value:+z.1f} [{row.low:z.1f}, {row.high:z.1f}]"


def _facts(description: dict[str, Any]) -> list[tuple[str, str]]:
    models, comparison = description["models"], description["comparison"]
    facts = {"trainer": models["trainer"], **{f"training: {k}": v for k, v in models["training"].items()}}
    facts |= {key: value for key, value in comparison.items() if key not in {"attribution", "left_out"}}
    facts |= {f"attribution: {key}": value for key, value in comparison["attribution"].items() if key != "estimator"}
    facts["cases left out"] = len(comparison["left_out"])
    facts["digest"] = description["digest"]
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in facts.items()
    ]


@lru_cache
def _template() -> Template:
    return page_templates(Path(__file__).parent).get_template("report.html.jinja")
