"""Property gradients of a cohort as a method: what do a model's predictions depend on, over many cases?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from zlib import crc32

import numpy as np

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain import property_cohort_tables as tables
from slicerxai.explain.contract import CohortInputs, Explainer, Explanation, Subject
from slicerxai.explain.property_cohort_checks import all_checks, flags
from slicerxai.explain.property_cohort_figures import curves_figure, ranking_figure
from slicerxai.explain.property_cohort_parameters import CohortPropertyParameters
from slicerxai.interventions.catalogue import find_property
from slicerxai.interventions.cohort_summary import Reading, Summary, readings, summarise
from slicerxai.interventions.measure import measure
from slicerxai.interventions.outcomes import Output, Reader, reader
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PROPERTIES
from slicerxai.models.protocols import Model
from slicerxai.progress import Progress, part

KINDS = ("acquisition", "centre", "control")
DEFAULT = tuple(name for name, info in PROPERTIES.items() if info.kind in KINDS)
MEASURING = 0.97
"""Share of the progress that the cases take."""


class CohortPropertyExplainer(Explainer[CohortInputs, CohortPropertyParameters]):
    """Every property on every case, the effects ranked over the cases, and the cases' tests combined."""

    subject: ClassVar[Subject] = "cohort"
    name: ClassVar[str] = "properties"
    title: ClassVar[str] = "Property gradients of a cohort"
    summary: ClassVar[str] = "Which properties of its images a model's predictions depend on, over many cases."
    Parameters: ClassVar[type[CohortPropertyParameters]] = CohortPropertyParameters

    def explain(self, inputs: CohortInputs, parameters: CohortPropertyParameters, progress: Progress) -> Explanation:
        """Change every property on every chosen case and combine the responses.

        Raises:
            InputError: fewer than two usable cases, an unknown output, no property that can be changed, or unusable
                images.
            Cancelled: through `progress`.
        """
        cases = chosen(inputs.cohort, inputs.model.info.channels, parameters)
        found: list[Reading] = []
        unusable: list[tuple[str, str, str]] = []
        outputs: tuple[Output, ...] = ()
        for index, case in enumerate(cases):
            watch = part(progress, MEASURING * index / len(cases), MEASURING * (index + 1) / len(cases))
            outputs, more, without = measure_case(inputs.model, case, parameters, watch)
            found += more
            unusable += without
        if not found:
            reasons = "; ".join(dict.fromkeys(f"{name}: {reason}" for _, name, reason in unusable))
            msg = f"none of the properties can be changed on any of the {len(cases)} cases ({reasons})"
            raise InputError(msg)
        progress(MEASURING, "comparing")
        names = [output.name for output in outputs]
        by = {name: [one for at, one in enumerate(found) if at % len(names) == n] for n, name in enumerate(names)}
        summaries = {name: summary(group, parameters) for name, group in by.items()}
        output = next(one for one in outputs if one.name == ranked_output(outputs, parameters.output))
        leading = summaries[output.name]
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.cohort_id,
            tables={
                "ranking": tables.ranking(summaries, outputs, output, parameters.delta),
                "patients": tables.patients(by, outputs),
                "curves": tables.mean_curves(by[output.name], leading, output),
                "outputs": tables.outputs(by, outputs),
            }
            | ({"unusable": tables.unusable(unusable)} if unusable else {}),
            figures={
                "ranking": ranking_figure(by[output.name], leading, output, parameters.delta),
                "curves": curves_figure(by[output.name], leading, output),
            },
            flags=flags(leading, output, parameters.delta),
            metrics=measurements(leading),
            checks=all_checks(by[output.name], leading, unusable, parameters),
        )


def chosen(cohort: Cohort, channels: tuple[str, ...], parameters: CohortPropertyParameters) -> list[Case]:
    """The cases with all channels and, where a rater is named, the rater's mask; drawn by the seed where there are more
    than asked for, in the cohort's order.

    Raises:
        InputError: fewer than two.
    """
    usable = [
        case
        for case in cohort
        if set(channels) <= set(case.images) and (parameters.rater is None or parameters.rater in case.masks)
    ]
    if len(usable) < 2:
        wanted = ", ".join(channels) + ("" if parameters.rater is None else f" and a mask of {parameters.rater!r}")
        msg = f"{len(usable)} cases of cohort {cohort.name!r} have {wanted}; at least 2 are needed"
        raise InputError(msg)
    if len(usable) <= parameters.count:
        return usable
    drawn = np.random.default_rng(parameters.seed).permutation(len(usable))[: parameters.count]
    return [usable[index] for index in sorted(drawn)]


def measure_case(
    model: Model, case: Case, parameters: CohortPropertyParameters, progress: Progress
) -> tuple[tuple[Output, ...], list[Reading], list[tuple[str, str, str]]]:
    """All properties on one case: outputs, readings (property by property, in the order of the outputs), and case,
    property and reason where one cannot be changed."""
    progress(0.0, f"reading {case.id}")
    images = {channel: case.image(channel) for channel in model.info.channels}
    expert = None if parameters.rater is None else case.mask(parameters.rater)
    read = reader(model, images, expert)
    ranked_output(read.outputs, parameters.output)
    # another seed for every case: realisations of random properties and controls are independent between cases
    seed = int(np.random.SeedSequence((parameters.seed, crc32(case.id.encode()))).generate_state(1)[0]) >> 1
    scan = Scan(images, lesions(read, images, expert), seed=seed)
    names = parameters.properties or DEFAULT
    found, without = [], []
    for name, watch in zip(names, parts(progress, len(names), case.id), strict=True):
        one = find_property(name)
        reason = one.unusable(scan)
        if reason is not None:
            without.append((case.id, name, reason))
            continue
        measured = measure(
            gradual_path(one, scan, steps=parameters.steps),
            read,
            permutations=0,
            controls=parameters.controls,
            control_steps=parameters.control_steps,
            seed=seed,
            progress=watch,
        )
        found += readings(case.id, measured)
    return read.outputs, found, without


def lesions(read: Reader, images: dict[str, Volume], expert: Volume | None) -> Volume | None:
    """The expert's mask on the grid of the first image, else what the model predicts there; None of a classifier."""
    first = next(iter(images.values()))
    if expert is not None:
        mask = expert.with_array((np.asarray(expert.array) != 0).astype(np.uint8))
        return resample_like(mask, first, order=0)
    found = read.labelmap(read.prepare(images))
    return None if found is None else found.with_array((np.asarray(found.array) != 0).astype(np.uint8))


def parts(progress: Progress, count: int, case: str) -> Iterator[Progress]:
    """Progress of each of `count` equal parts of a case."""
    for index in range(count):
        inner = part(progress, index / count, (index + 1) / count)
        yield lambda fraction, message, inner=inner: inner(fraction, f"{case}: {message}")


def ranked_output(outputs: tuple[Output, ...], name: str | None) -> str:
    """The output by which properties are ranked. Raises `InputError` where there is none of this name."""
    names = [output.name for output in outputs]
    if name is None:
        return names[0]
    if name not in names:
        msg = f"output: {name!r} is not read from this model; outputs are {', '.join(names)}"
        raise InputError(msg, accepted=tuple(names))
    return name


def summary(found: list[Reading], parameters: CohortPropertyParameters) -> Summary:
    """The cases together, for one output."""
    return summarise(
        found,
        bootstraps=parameters.bootstraps,
        level=parameters.level,
        correction=parameters.correction,
        seed=parameters.seed,
    )


def measurements(leading: Summary) -> dict[str, float]:
    """Of the property with the largest mean effect."""
    first = leading.order[0]
    low, high = leading.ranking.interval[first]
    found = {
        "effect": float(leading.ranking.mean[first]),
        "effect_low": float(low),
        "effect_high": float(high),
        "probability_first": float(leading.ranking.first[first]),
        "change": float(leading.change[first]),
        "p_sign_adjusted": float(leading.p_sign_adjusted[first]),
        "cases": float(leading.cases[first]),
    }
    adjusted = float(leading.p_controls_adjusted[first])
    return found if np.isnan(adjusted) else found | {"p_controls_adjusted": adjusted}
