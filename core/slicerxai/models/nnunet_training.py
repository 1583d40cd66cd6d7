"""Train nnU-Net v2 on cases: plan, preprocess, train, and leave a model folder without pickled code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.files import replaced_text
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.progress import Progress, part, silent

if TYPE_CHECKING:
    import torch

__all__ = ["NnunetTrainingParameters", "train_nnunet", "work_folder"]

DATASET = "Dataset001_Lesions"
PLANS = "nnUNetPlans"
FOLDS = 5
LABELS = {"background": 0, "lesion": 1}
TRAINERS = {"short": "ShortTrainer", "stock": "nnUNetTrainer"}
LIBRARIES = ("torch", "nnunetv2", "dynamic_network_architectures", "batchgeneratorsv2", "numpy")


def train_nnunet(
    cases: Sequence[Case],
    rater: str,
    parameters: NnunetTrainingParameters,
    folder: Path,
    name: str,
    device: torch.device,
    progress: Progress = silent,
    *,
    resume: bool = False,
) -> None:
    """Train on all cases and fill `folder` with model.json, plans.json, dataset.json and weights.pt.

    The work in progress lies in `work_folder(folder, name)` until the model is complete. A run that was cancelled or
    died goes on from its last checkpoint with `resume`: that of the last epoch with the short trainer, one of the last
    50 with the stock one.

    Args:
        cases: with every channel and a binary mask of the rater, each on one grid of its own.
        rater: whose masks are learned.
        folder: an existing, empty folder to fill.
        name: of the model.

    Raises:
        InputError: unusable cases.
        ConflictError: another nnU-Net training runs in this process, there is nothing to resume, or the run to resume
            had other cases, another rater or other parameters.
        Cancelled: through `progress`.
    """
    from slicerxai.models.nnunet_environment import nnunet_environment, only_run
    from slicerxai.models.training_case import case_digests

    _check_number(len(cases), parameters)
    identity = {
        "parameters": parameters.model_dump(mode="json"),
        "rater": rater,
        "cases": case_digests(cases, parameters.channels, rater),
    }
    work = work_folder(folder, name)
    with only_run():
        started = _begin(work, name, identity, resume)
        with nnunet_environment(work, progress) as watched:
            if not (work / "prepared").exists():
                _prepare(cases, rater, parameters, device, work, part(watched, 0.0, 0.1))
                (work / "prepared").touch()
            trainer = _train(parameters, device, part(watched, 0.1, 1.0), resume=resume)
        provenance = {
            **identity,
            "images": case_digests(cases, parameters.channels),
            "started": started,
            "finished": _now(),
            "device": str(device),
        }
        _export(trainer, folder, name, provenance)
        shutil.rmtree(work)
    progress(1.0, f"trained {trainer.num_epochs} epochs")


def work_folder(folder: Path, name: str) -> Path:
    """Where the training of a model keeps its work in progress: beside the folder that it fills."""
    return folder.parent / f".nnunet-{name}"


def _check_number(cases: int, parameters: NnunetTrainingParameters) -> None:
    if cases == 0:
        msg = "no case to train on; at least one is needed"
        raise InputError(msg)
    if parameters.fold != "all" and cases < FOLDS:
        msg = (
            f"fold {parameters.fold} of a {FOLDS}-fold split needs at least {FOLDS} cases, got {cases}; use fold 'all'"
        )
        raise InputError(msg)


def _begin(work: Path, name: str, identity: Mapping[str, Any], resume: bool) -> str:
    """Open a new run or the one to resume; gives the time at which it was first started."""
    record = work / "run.json"
    if resume:
        if not record.is_file():
            msg = f"no interrupted training of {name!r} to resume; train it without resuming"
            raise ConflictError(msg)
        before = json.loads(record.read_text(encoding="utf-8"))
        changed = [key for key in identity if identity[key] != before[key]]
        if changed:
            msg = f"the interrupted training of {name!r} had other {', '.join(changed)}; train it anew"
            raise ConflictError(msg)
        started: str = before["started"]
        return started
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    started = _now()
    replaced_text(record, json.dumps({**identity, "started": started}))
    return started


def _prepare(
    cases: Sequence[Case],
    rater: str,
    parameters: NnunetTrainingParameters,
    device: torch.device,
    work: Path,
    progress: Progress,
) -> None:
    """nnU-Net's raw data set, fingerprint, plans and preprocessed data."""
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.preprocessing.preprocessors import default_preprocessor

    from slicerxai.models.fast_training import fast_bfloat16
    from slicerxai.models.nnunet_environment import inline_pools, variables
    from slicerxai.models.nnunet_planner import SmallPlanner

    _write_raw(cases, rater, parameters, work / "nnUNet_raw" / DATASET, part(progress, 0.0, 0.3))
    with inline_pools(fingerprint_extractor, _counter(part(progress, 0.3, 0.5), len(cases), "measuring")):
        extractor = fingerprint_extractor.DatasetFingerprintExtractor(DATASET, 1)
        extractor.show_progress_bar = False
        extractor.num_foreground_voxels_for_intensitystats = 1e6  # z-scores do not need them; 1e8 is a gigabyte
        extractor.run(overwrite_existing=True)
    with variables({"nnUNet_n_proc_DA": "1"}):
        if parameters.trainer == "short":
            SmallPlanner(DATASET).plan_small(
                patch=parameters.patch,
                features=parameters.features,
                convolutions=parameters.convolutions,
                batch_size=parameters.batch_size,
            )
            schedule = parameters.model_dump(include={"epochs", "iterations", "learning_rate", "seed"})
            schedule["bfloat16"] = parameters.precision == "bfloat16" or (
                parameters.precision == "auto" and fast_bfloat16(device)
            )
            _add_to_plans({"short_trainer": schedule}, work)
        else:
            ExperimentPlanner(DATASET).plan_experiment()
    with inline_pools(default_preprocessor, _counter(part(progress, 0.5, 1.0), len(cases), "preprocessing")):
        preprocessor = default_preprocessor.DefaultPreprocessor(verbose=False)
        preprocessor.show_progress_bar = False
        preprocessor.run(DATASET, parameters.configuration, PLANS, 1)


def _write_raw(
    cases: Sequence[Case], rater: str, parameters: NnunetTrainingParameters, raw: Path, progress: Progress
) -> None:
    lesion_voxels = 0
    listed: dict[str, dict[str, Any]] = {}  # without it nnU-Net lists the files in a forked pool, which can deadlock
    for number, case in enumerate(cases):
        progress(number / len(cases), f"reading {case.id}")
        mask = case.mask(rater)
        lesion_voxels += _check_mask(case, rater, mask)
        images = [f"imagesTr/case{number:04d}_{channel:04d}.nii" for channel in range(len(parameters.channels))]
        for modality, path in zip(parameters.channels, images, strict=True):
            image = case.image(modality)
            _check_image(case, modality, image, mask)
            write_volume(raw / path, image.with_array(image.array.astype(np.float32)))
        label = f"labelsTr/case{number:04d}.nii"
        write_volume(raw / label, mask.with_array(mask.array.astype(np.uint8)))
        listed[f"case{number:04d}"] = {"images": images, "label": label}
    if lesion_voxels == 0:
        msg = f"no lesion voxel in any of the {len(cases)} masks of rater {rater!r}"
        raise InputError(msg)
    dataset = {
        "channel_names": {str(channel): modality for channel, modality in enumerate(parameters.channels)},
        "labels": LABELS,
        "numTraining": len(cases),
        "file_ending": ".nii",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
        "dataset": listed,
    }
    replaced_text(raw / "dataset.json", json.dumps(dataset))


def _check_mask(case: Case, rater: str, mask: Volume) -> int:
    """The number of lesion voxels."""
    if not np.isin(mask.array, (0, 1)).all():
        msg = f"mask {rater!r} of case {case.id!r} holds other values than 0 and 1"
        raise InputError(msg)
    return int(np.count_nonzero(mask.array))


def _check_image(case: Case, modality: str, image: Volume, mask: Volume) -> None:
    if image.shape != mask.shape or not np.allclose(image.affine, mask.affine, atol=1e-3):
        msg = f"{modality} of case {case.id!r} and its mask lie on different grids: {image.shape} and {mask.shape}"
        raise InputError(msg)
    if not image.array.any():
        msg = f"{modality} of case {case.id!r} is empty: every voxel is zero"
        raise InputError(msg)


def _add_to_plans(values: Mapping[str, Any], work: Path) -> None:
    path = work / "nnUNet_preprocessed" / DATASET / f"{PLANS}.json"
    replaced_text(path, json.dumps({**json.loads(path.read_text(encoding="utf-8")), **values}))


def _train(parameters: NnunetTrainingParameters, device: torch.device, progress: Progress, *, resume: bool) -> Any:
    """The finished trainer."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

    from slicerxai.models.nnunet_environment import variables

    progress(0.0, "starting nnU-Net")
    torch.manual_seed(parameters.seed)
    np.random.seed(parameters.seed)  # noqa: NPY002 - nnU-Net draws from the global generator
    environment = {"nnUNet_n_proc_DA": str(parameters.workers), "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"}
    with variables(environment), torch.serialization.safe_globals(_numpy_scalars()):
        trainer = get_trainer_from_args(
            DATASET,
            parameters.configuration,
            "all" if parameters.fold == "all" else int(parameters.fold),
            TRAINERS[parameters.trainer],
            PLANS,
            continue_training=resume,
            device=device,
        )
        trainer.logger.plot_progress_png = lambda _folder: None  # seconds an epoch
        maybe_load_checkpoint(trainer, continue_training=resume, validation_only=False)
        _watch(trainer, progress)
        trainer.run_training()
    return trainer


def _numpy_scalars() -> list[Any]:
    """What nnU-Net's checkpoints hold besides tensors and plain values: its log has numbers of numpy's own types."""
    rebuild = np.float64(0).__reduce__()[0]
    return [rebuild, np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i8"))]


def _watch(trainer: Any, progress: Progress) -> None:
    """Report every training and validation step of any of nnU-Net's trainers."""
    steps = trainer.num_iterations_per_epoch + trainer.num_val_iterations_per_epoch
    done = trainer.current_epoch * steps
    training, validation = trainer.train_step, trainer.validation_step

    def report() -> None:
        nonlocal done
        done += 1
        losses = trainer.logger.get_value("train_losses", step=None)
        loss = f", loss {losses[-1]:.3f}" if losses else ""
        message = f"epoch {trainer.current_epoch + 1} of {trainer.num_epochs}{loss}"
        progress(done / (steps * trainer.num_epochs), message)

    def train_step(batch: dict[str, Any]) -> Any:
        result = training(batch)
        report()
        return result

    def validation_step(batch: dict[str, Any]) -> Any:
        result = validation(batch)
        report()
        return result

    trainer.train_step, trainer.validation_step = train_step, validation_step


def _export(trainer: Any, folder: Path, name: str, run: Mapping[str, Any]) -> None:
    import torch

    weights = {key: value.cpu() for key, value in trainer.network.state_dict().items()}
    torch.save(weights, folder / "weights.pt")
    (folder / "plans.json").write_text(json.dumps(trainer.plans_manager.plans, indent=1), encoding="utf-8")
    dataset = {key: value for key, value in trainer.dataset_json.items() if key != "dataset"}
    (folder / "dataset.json").write_text(json.dumps(dataset, indent=1), encoding="utf-8")
    losses = trainer.logger.get_value("train_losses", step=None)
    description = {
        "name": name,
        "kind": "nnunet",
        "channels": run["parameters"]["channels"],
        "labels": list(LABELS),
        "configuration": trainer.configuration_name,
        "provenance": {
            **run,
            "losses": [round(float(loss), 5) for loss in losses],
            "versions": {"slicerxai": __version__} | {library: version(library) for library in LIBRARIES},
        },
    }
    replaced_text(folder / "model.json", json.dumps(description, indent=1))


def _counter(progress: Progress, total: int, doing: str) -> Any:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        progress(done / total, f"{doing} case {done} of {total}")

    return report


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
