"""`slicerxai alarm MODEL COHORT`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slicerxai.cli.options import given, options
from slicerxai.cli.progress import progress_bar
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.monitoring.held_out import Separated

KINDS: dict[type[AlarmParameters] | type[LesionAlarmParameters], str] = {
    AlarmParameters: "classifier",
    LesionAlarmParameters: "segmenter",
}
"""What takes which parameters."""
NAMED = 8
"""Cases that are named on the terminal; JSON has all."""
FIGURES = {
    "wrong": "share of wrong predictions",
    "flagged": "share of flagged predictions",
    "flagged_wrong_held_out": "of the flagged ones, so many were wrong, on cases left out in turn",
    "wrong_flagged_held_out": "of the wrong ones, so many were flagged, on cases left out in turn",
    "f1": "mean F1",
    "f1_swapped": "mean F1 with the flagged ones turned round",
    "f1_swapped_held_out": "the same, on cases left out in turn",
    "lesions": "predicted lesions",
    "false": "share of false lesions",
    "flagged_held_out": "share of flagged lesions, each judged without its patient",
    "auroc_mean_probability": "false ranked above true lesions by their mean probability alone",
    "auroc_held_out": "wrong ranked above right predictions, on cases left out in turn",
    "aurc_held_out": "area under the risk-coverage curve, on cases left out in turn",
    "calibration_error_held_out": "calibration error of the estimated chance, on cases left out in turn",
}
"""Those with words of their own; the others are printed by name."""


def _alarm(model: str, cohort: Path, rater: str, as_json: bool, **values: Any) -> None:
    from slicerxai import runtime
    from slicerxai.data.readers import read_cohort
    from slicerxai.models.store import ModelStore

    store = ModelStore(settings().models)
    classifies = store.describe(model)["kind"] == "classifier"
    kind: type[AlarmParameters | LesionAlarmParameters] = AlarmParameters if classifies else LesionAlarmParameters
    parameters = validate_parameters(kind, given(values, kind), f"the alarm of a {KINDS[kind]}")
    cases = list(read_cohort(cohort))
    runtime.configure()
    from slicerxai.monitoring.alarm_store import AlarmStore
    from slicerxai.monitoring.fitting import fit_for
    from slicerxai.monitoring.held_out import unseen_cases

    with progress_bar("alarm") as progress:
        loaded = store.load(model, runtime.device())
        found = unseen_cases(loaded.info, cases)
        fitted = fit_for(loaded, found.unseen, parameters, rater=rater, progress=progress)
    identifier = AlarmStore(settings().alarms).save(model, fitted)
    if as_json:
        summary = {
            "id": identifier,
            "model": model,
            "model_digest": loaded.info.digest,
            "parameters": parameters.model_dump(mode="json"),
            "cases": [case.id for case in found.unseen],
            "left_out": [case.id for case in found.trained],
            "training_known": found.known,
            "figures": fitted.figures,
        }
        click.echo(json.dumps(summary))
        return
    _say(identifier, model, found, fitted.figures)


def _options() -> list[click.Parameter]:
    """The options of both kinds, one each; which values a kind accepts is checked when the model is known."""
    found: dict[str, click.Option] = {}
    for parameters, kind in KINDS.items():
        for option in options(parameters):
            assert isinstance(option, click.Option)  # noqa: S101 - for the type checker
            option.help = f"Of a {kind}: {option.help}"
            known = found.setdefault(str(option.name), option)
            if known is not option:
                known.help = f"{known.help} {option.help}"
                known.type = _either(known.type, option.type)
    return list(found.values())


def _either(one: click.ParamType, other: click.ParamType) -> click.ParamType:
    if isinstance(one, click.Choice) and isinstance(other, click.Choice):
        return click.Choice(list(dict.fromkeys([*one.choices, *other.choices])))
    return one


def _say(identifier: str, model: str, found: Separated, figures: dict[str, float]) -> None:
    click.echo(f"alarm {identifier} of model {model!r}, fitted on {len(found.unseen)} cases")
    if found.trained:
        names = ", ".join(case.id for case in found.trained[:NAMED]) + (", …" if len(found.trained) > NAMED else "")
        click.echo(f"  left out, for the model was trained on them: {len(found.trained)} ({names})")
    if not found.known:
        click.echo("  the model does not say what it was trained on: see to it that these cases were not used")
    for name, value in figures.items():
        click.echo(f"  {FIGURES.get(name, name)}: {value:.3f}")


command = click.Command(
    "alarm",
    callback=_alarm,
    help="Fit the alarm of MODEL: which of its predictions should be read again.\n\n"
    "COHORT holds labelled cases that the model was not trained on (a folder: MSSEG2016, BIDS, or with a CSV); those "
    "that it was trained on are left out. A classifier needs the metadata that its labels are made of, a segmenter "
    "masks. The newest alarm of a model is the one that is used.",
    params=[
        click.Argument(["model"]),
        click.Argument(["cohort"], type=click.Path(path_type=Path)),
        click.Option(["--rater"], default="consensus", show_default=True, help="Whose masks are true, for segmenters."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print id, figures and cases as JSON."),
        *_options(),
    ],
)
