"""Benchmark `nnunet_predict`: one case by a resident nnU-Net, beside `nnUNetv2_predict` of the same weights.

A small 3D network (the short trainer's defaults) learns on phantom patients of 2 mm for a few epochs and segments a
patient of another seed, from a NIfTI file to a NIfTI file, without mirroring. Ours is loaded once, as a worker of the
server holds it. Peers are the command as documented and with `-npp 0 -nps 0`, which starts no processes and is quicker
for one case; `ratio` is against the quicker of the two. All use every core. The limit is as many passes of the network
over a patch as the case takes, nothing else. The larger the image, the more the passes outweigh what the command does
before them.

Checked first: all three files hold the same labels, and there are lesions among them.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.printer import Printer
from benchmarks.side_by_side import agreed, ratios, side_by_side
from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.patient import simulate
from slicerxai.models.nnunet import NnunetSegmenter
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.nnunet_training import DATASET, PLANS, train_nnunet

CPU = torch.device("cpu")
CONFIGURATION, TRAINER = "3d_fullres", "nnUNetTrainer"
COMMAND = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as run; run()"
SEED, OTHER_SEED = 7, 8
PEERS: dict[str, tuple[str, ...]] = {
    "nnUNetv2_predict": (),
    "nnUNetv2_predict -npp 0 -nps 0": ("-npp", "0", "-nps", "0"),
}


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data
    root, threads = out / "nnunet_predict", torch.get_num_threads()
    folder = _trained(root, epochs=2 if quick else 6)
    image = _case(root / "input")
    results = _as_nnunet(folder, root / "results")
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        return _measured(folder, image, results, root, turns=3 if quick else 7)
    finally:
        torch.set_num_threads(threads)


def _measured(folder: Path, image: Path, results: Path, root: Path, turns: int) -> dict[str, Any]:
    segmenter = NnunetSegmenter.load(folder, CPU)
    files = {name: root / f"output{number}" / image.name.replace("_0000", "") for number, name in enumerate(PEERS)}
    mine = root / "ours.nii.gz"
    contenders: dict[str, Callable[[], object]] = {"slicerxai": lambda: _ours(segmenter, image, mine)}
    for name, options in PEERS.items():
        contenders[name] = functools.partial(_command, image.parent, files[name].parent, results, options)
    for compute in contenders.values():
        compute()
    labels = read_volume(mine).array
    furthest = max(float(np.abs(labels - read_volume(file).array.astype(float)).max()) for file in files.values())
    difference = agreed(furthest, 0.0, "labels")
    if not labels.any():
        msg = "no lesion is predicted, so that equal labels say nothing"
        raise RuntimeError(msg)
    patches = _patches(segmenter, image)
    times = side_by_side(contenders | {"limit": lambda: _passes(segmenter, patches)}, turns)
    quicker = min((times[name] for name in PEERS), key=lambda timing: timing.seconds)
    figures = ratios(times["slicerxai"], quicker, times["limit"]) | {
        "ratio_as_documented": times["nnUNetv2_predict"].seconds / times["slicerxai"].seconds,
        "max_abs_difference": difference,
        "lesion_voxels": int(np.count_nonzero(labels)),
        "patches": patches,
    }
    rows = [
        {"who": name, "seconds": t.seconds, "lower quartile": t.low, "upper quartile": t.high, "CPU": t.cpu_seconds}
        for name, t in times.items()
    ]
    notes = [f"Image of {'×'.join(map(str, labels.shape))} voxels, patches of {segmenter.patch_size}; {turns} turns."]
    return {"figures": figures, "rows": rows, "notes": notes}


def _trained(root: Path, epochs: int) -> Path:
    """A model folder; one that an earlier run has left is taken."""
    folder = root / f"model-{epochs}"
    if not (folder / "model.json").is_file():
        cohort = write_cohort(
            root / "cohort", PhantomParameters(patients=2, seed=SEED, load_min_ml=8.0), Printer("phantom")
        )
        folder.mkdir(parents=True, exist_ok=True)
        parameters = NnunetTrainingParameters(epochs=epochs, precision="float32")
        train_nnunet(cohort.cases, "consensus", parameters, folder, "short", CPU, Printer("train"))
    return folder


def _case(folder: Path) -> Path:
    """A patient whom the network has not seen, named as nnU-Net wants it."""
    path = folder / "patient_0000.nii.gz"
    patient = simulate(PhantomParameters(patients=1, seed=OTHER_SEED, centres=("01",), load_min_ml=8.0), 0)
    write_volume(path, patient.images["FLAIR"])
    return path


def _as_nnunet(folder: Path, results: Path) -> Path:
    """The same model as nnU-Net's own training leaves it."""
    target = results / DATASET / f"{TRAINER}__{PLANS}__{CONFIGURATION}"
    (target / "fold_all").mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "network_weights": torch.load(folder / "weights.pt", weights_only=True),
        "trainer_name": TRAINER,
        "init_args": {"configuration": CONFIGURATION},
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, target / "fold_all" / "checkpoint_final.pth")
    for name in ("plans.json", "dataset.json"):
        content = (folder / name).read_text()
        (target / name).write_text(content.replace('".nii"', '".nii.gz"') if name == "dataset.json" else content)
    return results


def _ours(segmenter: NnunetSegmenter, image: Path, out: Path) -> None:
    write_volume(out, segmenter.predict({"FLAIR": read_volume(image)}).labelmap)


def _command(source: Path, target: Path, results: Path, options: tuple[str, ...]) -> None:
    arguments = ["-i", source, "-o", target, "-d", DATASET, "-c", CONFIGURATION, "-f", "all", "-device", "cpu"]
    folders = {f"nnUNet_{name}": str(results) for name in ("raw", "preprocessed", "results")}
    command = [sys.executable, "-c", COMMAND, *map(str, arguments), "--disable_tta", "--disable_progress_bar", *options]
    done = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"nnUNetv2_predict ended with {done.returncode}: {done.stderr[-2000:]}"
        raise RuntimeError(msg)


def _patches(segmenter: NnunetSegmenter, image: Path) -> int:
    said: list[str] = []
    segmenter.predict({"FLAIR": read_volume(image)}, lambda _, message: said.append(message))
    return sum(message.startswith("patch ") for message in said)


@torch.inference_mode()
def _passes(segmenter: NnunetSegmenter, count: int) -> None:
    patch = torch.zeros(1, 1, *segmenter.patch_size)
    for _ in range(count):
        segmenter.network(patch)
