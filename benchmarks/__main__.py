"""Experiments and comparisons: `list` names them, `run NAME` runs one, `all` every one, `page` writes the tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from slicerxai.errors import UserError

BENCHMARKS = {
    "segmentation": "Dice and lesion-wise F1 of both segmenters on the phantom and on real scans",
    "shift_ground_truth": "shift attribution on the phantom, against what the swapped mechanisms truly cost",
    "shift_synthetic_graph": "shift attribution on the synthetic graph of a publication: one mechanism shifts",
    "shift_vs_dowhy": "multiply robust attribution beside that of DoWhy: seconds and agreement",
    "shift_cost": "seconds and memory of Shapley values and of the discriminators' training",
    "informer_table1": "the publication's table of flags by maps, entropy and test-time augmentation",
    "informer_planted": "errors of a planted confusion: found by the maps of the classes, or by entropy",
    "shift_lidc": "shift attribution on CT nodules across scanner vendors and readers",
    "saliency_speed": "seconds and memory of every class's map, beside captum called once for each class",
    "saliency_volume": "the map of a segmented volume, patch by patch, beside captum on the whole volume",
    "informer_speed": "INFORMER's reading of an image beside test-time augmentation",
    "alignment_shortcut": "decisions from inside the mask against a shortcut, on images whose truth is known",
    "alignment_sensitivity": "aligned training with other settings and other shortcuts",
    "lesion_quality": "which predicted lesions are false: an alarm over lesions beside mean probability and volume",
    "alignment_cost": "seconds and memory of the implicit gradient through counterfactuals, beside unrolling",
    "alignment_scanner_mark": "a classifier of lesion regions that learned a scanner's mark, found out and repaired",
    "property_level": "level and power of the tests of a property: the published one, increments, control paths",
    "property_speed": "the permutation test beside scipy's, and paths that are read in batches",
    "alignment_table1": "lesions with a symbol that coincides with the label: nine methods",
    "property_training": "a colour patch learned and forgotten again in the course of a training",
    "property_table": "locally biased decisions on dermoscopy: property gradients and six baselines",
    "property_diffusion": "generated sequences of held-out slices: what changes, measured apart, and what stays",
    "property_centre": "a dependence that training at one centre planted, found among ten properties",
    "server_faults": "what breaks around the server, before, during and after a job, and what becomes of the job",
    "reader_fuzz": "damaged and hostile files, documents and parameters: crashes, time, memory, files written",
    "server_schema": "requests made from the OpenAPI document, good and hostile: server errors, hangs, files written",
    "server_load": "50 clients for 5 minutes, at the server and at stock MONAI Label: errors, delays, memory, results",
    "cli_start": "seconds until the command line has printed its help, beside monailabel",
    "report_speed": "an explanation's page beside the same slices drawn by matplotlib",
    "nnunet_predict": "one case by a resident nnU-Net beside nnUNetv2_predict of the same weights",
    "info_latency": "delays of /info while a segmentation is computed, beside stock MONAI Label",
    "http_overhead": "explaining over HTTP beside the direct call",
    "cohort_reading": "a cohort read case by case, beside everything loaded by nibabel",
    "server_start": "seconds until the server serves and its idle memory, beside stock MONAI Label",
    "panel_blocking": "how long Slicer's window does not answer while its panels are at work",
    "cluster_speed": "all cases of a cohort by one worker process and by two; a killed worker loses nothing",
    "growth_volume": "seconds and memory of explaining an image against its size, up to 512³",
    "growth_classes": "seconds and memory of all classes' maps against the number of classes",
    "growth_mechanisms": "seconds and memory of shift attribution against coalitions, and against mechanisms",
    "growth_raters": "seconds and memory of a model's agreement with raters against their number",
    "growth_cases": "seconds and memory of scoring a cohort, and of an attribution, against the number of cases",
    "growth_clients": "what the server spends on clients against their number",
}
NEED_DATA = {"alignment_table1", "informer_table1", "property_table", "property_training", "shift_lidc"}
ENTRY = (sys.executable, "-m", "benchmarks")
LIBRARIES = ("torch", "monai", "nnunetv2", "captum", "zennit", "numpy")


def environment() -> dict[str, Any]:
    """The machine and the versions that a figure depends on."""
    import torch

    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {name: version(name) for name in LIBRARIES},
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Rows as a table; floats with four significant digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value: object) -> str:
        return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(column)) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def tables(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows one after the other that share at least half of their columns are one table."""
    found: list[list[dict[str, Any]]] = []
    for row in rows:
        if found:
            last = found[-1][-1].keys()
            if 2 * len(last & row.keys()) >= min(len(last), len(row)):
                found[-1].append(row)
                continue
        found.append([row])
    return found


def run(name: str, data: Path | None, out: Path, quick: bool) -> Path:
    """Run one benchmark, print its table and write `OUT/NAME.json`."""
    out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    result = import_module(f"benchmarks.{name}").run(data=data, out=out, quick=quick)
    result |= {"name": name, "quick": quick, "seconds": time.perf_counter() - started, "environment": environment()}
    target = out / f"{name}.json"
    temporary = target.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(result, indent=2) + "\n")
    temporary.replace(target)
    print(f"## {name}\n")
    for rows in tables(result["rows"]):
        print(f"{markdown(rows)}\n")
    print(markdown([{"figure": key, "value": value} for key, value in result["figures"].items()]))
    for note in result.get("notes", []):
        print(f"\n- {note}")
    print(f"\nWritten: {target}")
    return target


def run_all(data: Path | None, out: Path, quick: bool) -> list[str]:
    """Run every benchmark in a process of its own, whatever becomes of the others. Returns what failed.

    Args:
        data: holds the data of a benchmark in a folder of its name; those that need data and have none are left out.
    """
    failed = []
    for name in BENCHMARKS:
        own = None if data is None or not (data / name).is_dir() else data / name
        if name in NEED_DATA and own is None:
            print(f"## {name}\n\nleft out: it needs data, in a folder {name} of --data\n", flush=True)
            continue
        command = [*ENTRY, "run", name, "--out", str(out)]
        command += ["--data", str(own)] if own else []
        command += ["--quick"] if quick else []
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
        print(flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "all of them ended well")
    return failed


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="names and one line each")
    one = commands.add_parser("run", help="run one")
    one.add_argument("name", choices=sorted(BENCHMARKS))
    one.add_argument("--data", type=Path, help="folder with real data in the form that the benchmark names")
    every = commands.add_parser("all", help="run all, each in a process of its own; a failure does not stop the others")
    every.add_argument("--data", type=Path, help="folder with real data: of each benchmark in a folder of its name")
    for command in (one, every):
        command.add_argument("--quick", action="store_true", help="the same protocol at a size that ends in 10 minutes")
    page = commands.add_parser("page", help="write docs/performance.md from finished comparisons")
    for command in (one, every, page):
        command.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="where NAME.json is")
    return top


def main() -> int:
    """Do what the command line asks. Returns the exit code."""
    arguments = parser().parse_args()
    if arguments.command == "list":
        for name, line in BENCHMARKS.items():
            print(f"{name:24} {line}{' (needs --data)' if name in NEED_DATA else ''}")
        return 0
    if arguments.command == "page":
        from benchmarks.page import write_page

        write_page(arguments.out)
        return 0
    if arguments.data is not None and not arguments.data.is_dir():
        print(f"--data {arguments.data}: no such folder", file=sys.stderr)
        return 2
    if arguments.command == "all":
        return 1 if run_all(arguments.data, arguments.out, arguments.quick) else 0
    try:
        run(arguments.name, arguments.data, arguments.out, arguments.quick)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
