"""`slicerxai train KIND COHORT`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import BaseModel

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.interventions.generator.parameters import GeneratorParameters
    from slicerxai.models.store import ModelStore
    from slicerxai.monitoring.after_training import AfterTraining

KINDS = {
    "fast": ("A small MONAI network, minutes on a CPU.", "slicerxai.models.fast_parameters:FastTrainingParameters"),
    "nnunet": ("nnU-Net v2.", "slicerxai.models.nnunet_parameters:NnunetTrainingParameters"),
    "classifier": (
        "A classifier of whole images, by default of the McDonald regions that hold lesions.",
        "slicerxai.models.classifier_parameters:ClassifierTrainingParameters",
    ),
    "aligned": (
        "A classifier that decides from inside the lesions; goes on from a stored one with --base.",
        "slicerxai.alignment.aligned_training_parameters:AlignedTrainingParameters",
    ),
    "generator": (
        "No model but a source of images: slices drawn with another lesion load or as of another centre.",
        "slicerxai.interventions.generator.parameters:GeneratorParameters",
    ),
}
CLASSIFIERS = ("classifier", "aligned")


class TrainGroup(click.Group):
    """One subcommand for each kind of model; its options are the fields of its parameter model."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in KINDS:
            return None
        summary, path = KINDS[cmd_name]
        module, _, name = path.partition(":")
        parameters: type[BaseModel] = getattr(import_module(module), name)

        def train(
            cohort: Path, name: str, as_json: bool, rater: str | None = None, resume: bool = False, **values: Any
        ) -> None:
            _train(cmd_name, parameters, cohort, name=name, rater=rater, resume=resume, as_json=as_json, values=values)

        rater = click.Option(["--rater"], default="consensus", show_default=True, help="Whose masks to learn.")
        resume = click.Option(["--resume"], is_flag=True, help="Go on with an interrupted training of this name.")
        return click.Command(
            cmd_name,
            callback=train,
            help=f"{summary} COHORT is a folder: MSSEG2016, BIDS, or a folder with a CSV.",
            params=[
                click.Argument(["cohort"], type=click.Path(path_type=Path)),
                click.Option(["--name"], default=cmd_name, show_default=True, help="Name of the trained model."),
                *([] if cmd_name == "classifier" else [rater] if cmd_name == "aligned" else [rater, resume]),
                click.Option(["--json", "as_json"], is_flag=True, help="Print a JSON summary."),
                *options(parameters),
            ],
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Kinds"):
            formatter.write_dl([(kind, summary) for kind, (summary, _) in KINDS.items()])


@click.group("train", cls=TrainGroup)
def command() -> None:
    """Train a model on a cohort; one subcommand for each kind."""


def _train(
    kind: str,
    model: type[BaseModel],
    cohort: Path,
    *,
    name: str,
    rater: str | None,
    resume: bool,
    as_json: bool,
    values: dict[str, Any],
) -> None:
    parameters: Any = validate_parameters(model, given(values, model), f"train {kind}")
    from slicerxai import runtime
    from slicerxai.data.readers import read_cohort
    from slicerxai.models.store import ModelStore

    cases = list(read_cohort(cohort))
    runtime.configure()
    if kind == "generator":
        _train_generator(cases, str(rater), parameters, name, resume=resume, as_json=as_json)
        return
    from slicerxai.models.training import train

    store = ModelStore(settings().models)
    with progress_bar(f"train {kind}") as progress:
        if kind == "aligned" and rater is not None:
            from slicerxai.alignment.aligned_training import train_aligned_model

            info = train_aligned_model(cases, rater, parameters, store, name, runtime.device(), progress)
        else:
            info = train(
                kind,
                cases,
                rater=rater,
                parameters=parameters,
                store=store,
                name=name,
                device=runtime.device(),
                progress=progress,
                resume=resume,
            )
    folder = settings().models / name
    summary: dict[str, Any] = {"name": info.name, "kind": info.kind, "digest": info.digest, "folder": str(folder)}
    lines = [f"model {name!r} written to {folder}"]
    if kind in CLASSIFIERS:
        auc: Any = info.provenance["validation_auc"]
        alarm = _alarm(store, name, cases)
        summary |= {"validation_auc": auc, "alarm": alarm.id, "alarm_message": alarm.message}
        lines += [f"  {label}: AUC {value:.3f} on the cases left aside" for label, value in auc.items()]
        lines.append(f"  {alarm.message}")
    click.echo(json.dumps(summary) if as_json else "\n".join(lines))


def _train_generator(
    cases: Sequence[Case], rater: str, parameters: GeneratorParameters, name: str, *, resume: bool, as_json: bool
) -> None:
    from slicerxai import runtime
    from slicerxai.interventions.generator.store import GeneratorStore

    store = GeneratorStore(settings().generators)
    with progress_bar("train generator") as progress:
        made = store.train(name, cases, rater, parameters, runtime.device(), progress, resume=resume)
    folder = str(store.folder(name))
    loss: float = made.provenance["loss"]
    summary = {"name": name, "kind": "generator", "digest": made.digest, "folder": folder, "loss": loss}
    click.echo(json.dumps(summary) if as_json else f"generator {name!r} written to {folder}\n  loss {loss:.4f}")


def _alarm(store: ModelStore, name: str, cases: Sequence[Case]) -> AfterTraining:
    """An alarm of the new model, fitted on the cases that its training left aside."""
    from slicerxai import runtime
    from slicerxai.monitoring.after_training import fit_after_training
    from slicerxai.monitoring.alarm_store import AlarmStore

    with progress_bar("alarm") as progress:
        return fit_after_training(
            store.load(name, runtime.device()), cases, AlarmStore(settings().alarms), progress=progress
        )
