"""`docs/performance.md` and its pictures, from the results of the comparisons in `benchmarks/results`."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.growth_picture import draw, groups

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, PICTURES = ROOT / "benchmarks/results", ROOT / "docs/performance.md", ROOT / "docs/images"
Result = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What a figure is asked to be: at least, or at most, a number or another figure."""

    words: str
    figure: str
    bound: float | str
    at_most: bool = False

    def met(self, figures: dict[str, float]) -> bool:
        """Whether it is. Raises `KeyError` when there is no such figure."""
        bound = figures[self.bound] if isinstance(self.bound, str) else self.bound
        return figures[self.figure] <= bound if self.at_most else figures[self.figure] >= bound


@dataclass(frozen=True)
class Comparison:
    """A benchmark of ours and a peer's, as the table names them."""

    name: str
    what: str
    peer: str
    targets: tuple[Target, ...] = ()


def times_as_fast(ratio: float) -> Target:
    """The target of most comparisons."""
    return Target(f"≥ {ratio:g} ×", "ratio", ratio)


COMPARISONS = (
    Comparison(
        "saliency_speed",
        "maps of 5 classes, DenseNet121",
        "captum, a class at a time",
        (times_as_fast(1.5), Target("≥ 85 % of the limit", "share_of_limit", 0.85)),
    ),
    Comparison("saliency_volume", "map of a segmented volume", "captum on the whole volume"),
    Comparison("informer_speed", "INFORMER's reading, 5 classes", "test-time augmentation"),
    Comparison("property_speed", "permutation test, 10 000 draws", "SciPy", (times_as_fast(20),)),
    Comparison(
        "alignment_cost",
        "implicit gradient, 100 inner steps",
        "unrolled gradient",
        (times_as_fast(2), Target("≤ 1/5 of the memory", "memory_ratio", 5)),
    ),
    Comparison("shift_vs_dowhy", "attribution to six mechanisms", "DoWhy", (times_as_fast(10),)),
    Comparison("nnunet_predict", "one case by a resident nnU-Net", "nnUNetv2_predict", (times_as_fast(3),)),
    Comparison(
        "http_overhead",
        "explaining over HTTP",
        "the direct call",
        (Target("≤ 10 % + 150 ms more", "overhead_ms", "accepted_ms", at_most=True),),
    ),
    Comparison(
        "server_start",
        "server ready",
        "stock MONAI Label",
        (times_as_fast(1), Target("≤ its idle memory", "memory_ratio", 1)),
    ),
    Comparison(
        "info_latency",
        "95th percentile of /info while a case is computed",
        "stock MONAI Label",
        (Target("≤ 100 ms", "p95_ms", 100, at_most=True),),
    ),
    Comparison(
        "cli_start", "slicerxai --help", "monailabel --help", (Target("≤ 0.5 s", "seconds", 0.5, at_most=True),)
    ),
    Comparison("cohort_reading", "reading a cohort", "nibabel, everything loaded"),
    Comparison("report_speed", "an explanation's page", "matplotlib, a figure for each slice"),
    Comparison(
        "cluster_speed",
        "a cohort read by two workers",
        "one worker",
        (times_as_fast(1.8), Target("nothing lost with a worker", "lost", 0, at_most=True)),
    ),
)
GROWTH = {
    "growth_volume": (Target("512³ in ≤ 8 GiB", "gib_512", 8, at_most=True),),
    "growth_classes": (),
    "growth_mechanisms": (),
    "growth_raters": (),
    "growth_cases": (),
    "growth_clients": (),
}


def write_page(out: Path) -> None:
    """Take over finished results, not quick ones, from a folder; then write the page and the pictures of growth."""
    RESULTS.mkdir(exist_ok=True)
    for name in (*(one.name for one in COMPARISONS), *GROWTH):
        measured = out / f"{name}.json"
        if measured.is_file() and not json.loads(measured.read_text(encoding="utf-8"))["quick"]:
            _replace(RESULTS / measured.name, measured.read_bytes())
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    for name in GROWTH:
        if name in results:
            _replace(PICTURES / picture(name), draw(results[name]))
    _replace(PAGE, page(results).encode())


def picture(name: str) -> str:
    """File name of the picture of a growth."""
    return f"performance_{name.removeprefix('growth_')}.png"


def page(results: dict[str, Result]) -> str:
    """The text of the page."""
    parts = [
        "# Performance",
        "What the package costs beside what one would use instead, and beside the least that the machine needs. Every "
        "row is one run of `python -m benchmarks run NAME`, in which all take turns and their answers are compared "
        "first; this page is made of the results by `python -m benchmarks page`.",
        "## Side by side",
        "*Ours*, *peer* and *limit* are medians of seconds, *ratio* is peer ÷ ours, *of the limit* is limit ÷ ours, "
        "and the difference is the largest between the answers, as described below.",
        table([comparison_row(one, results.get(one.name)) for one in COMPARISONS]),
        "## Growth",
        "Time and memory grow with size as the power *exponent*: 1 is in proportion, 0 not at all. Small sizes are "
        "dominated by what every size costs; *last step* is the exponent between the two largest.",
        *growth_parts(results),
        "## How each was measured",
        *[f"**{name}** ({day(results[name])}): {described(name)}" for name in known(results)],
        "## Machines",
        table(machines(results)),
    ]
    return "\n\n".join(parts) + "\n"


def known(results: dict[str, Result]) -> list[str]:
    """Names of the benchmarks that have a result, in the order of the page."""
    return [name for name in (*(one.name for one in COMPARISONS), *GROWTH) if name in results]


def comparison_row(one: Comparison, result: Result | None) -> dict[str, str]:
    """A row of the first table; dashes where nothing has been measured."""
    figures = {} if result is None else result["figures"]
    return {
        "": one.what,
        "beside": one.peer,
        "ours": seconds(figures.get("ours")),
        "peer": seconds(figures.get("peer")),
        "limit": seconds(figures.get("limit")),
        "ratio": number(figures.get("ratio")),
        "of the limit": percent(figures.get("share_of_limit")),
        "difference": number(figures.get("max_abs_difference")),
        "target": verdicts(one.targets, figures),
        "benchmark": f"`{one.name}`",
    }


def verdicts(targets: Sequence[Target], figures: dict[str, float]) -> str:
    """Each target with whether it is met."""
    if not figures:
        return "not measured"
    return "; ".join(f"{one.words}: {'met' if one.met(figures) else '**missed**'}" for one in targets)


def growth_parts(results: dict[str, Result]) -> list[str]:
    """A table of exponents, and a picture for each growth."""
    measured = {name: results[name] for name in GROWTH if name in results}
    if not measured:
        return ["Not measured."]
    rows, pictures = [], []
    for name, result in measured.items():
        for group in groups(result):
            rows.append(
                {
                    "growing": group.unit,
                    "from": number(group.sizes[0]),
                    "to": number(group.sizes[-1]),
                    "exponent of seconds": number(group.exponents["CPU seconds"]),
                    "last step": number(group.last["CPU seconds"]),
                    "exponent of memory": number(group.exponents.get("peak MiB")),
                    "last step of memory": number(group.last.get("peak MiB")),
                    "target": verdicts(GROWTH[name], result["figures"]) if GROWTH[name] else "",
                    "benchmark": f"`{name}`",
                }
            )
        pictures.append(f"![Time and memory, {name.removeprefix('growth_')}](images/{picture(name)})")
    return [table(rows), *pictures]


def machines(results: dict[str, Result]) -> list[dict[str, str]]:
    """Every machine with its versions, and what ran on it."""
    found: dict[str, list[str]] = {}
    for name in known(results):
        about = {key: value for key, value in results[name]["environment"].items() if key != "date"}
        found.setdefault(json.dumps(about), []).append(name)
    rows = []
    for text, names in found.items():
        about = json.loads(text)
        versions = ", ".join(f"{library} {version}" for library, version in about["versions"].items())
        machine = f"{about['cores']} cores, {about['gpu'] or 'no GPU'}, {about['platform'].partition('-')[0]}"
        rows.append({"machine": machine, "versions": f"Python {about['python']}, {versions}", "ran": ", ".join(names)})
    return rows


def described(name: str) -> str:
    """How a benchmark says that it measures, in one paragraph."""
    text = ast.get_docstring(ast.parse((ROOT / f"benchmarks/{name}.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n")[2].split())


def day(result: Result) -> str:
    """When it was measured."""
    return str(result["environment"]["date"])[:10]


def table(rows: list[dict[str, str]]) -> str:
    """Rows as a table of Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seconds(value: float | None) -> str:
    """Seconds, or milliseconds where they are few."""
    return "–" if value is None else f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"


def number(value: float | None) -> str:
    """Three significant digits."""
    return "–" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}".replace(",", " ")


def percent(value: float | None) -> str:
    """A share."""
    return "–" if value is None else f"{100 * value:.0f} %"


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
