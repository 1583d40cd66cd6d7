"""The property "generated": images that a trained generator draws of a scan under a gradually changed condition."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from slicerxai import runtime
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import in_head
from slicerxai.interventions.generator.conditions import LoadCondition
from slicerxai.interventions.generator.courses import By, CentreCourse, Course, LoadCourse, target_of
from slicerxai.interventions.generator.editing import EditSettings, SliceEditor
from slicerxai.interventions.generator.slices import Slices, slices_of
from slicerxai.interventions.generator.store import GeneratorStore, TrainedGenerator
from slicerxai.interventions.generator.training_slices import lesion_areas
from slicerxai.interventions.properties.base import ScanProperty
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PropertyInfo
from slicerxai.settings import settings

SCALE = 2.5
"""Scale of the guidance along a course of the condition."""

MOST_SCALE = 3.0
"""Largest scale of a course of the guidance."""

LOAD = (
    "Lesion volume in all slices that a generator is told to draw. What changes is drawn by a network that was trained "
    "on a cohort; how much it really draws has to be measured."
)
CENTRE = "Share of the way from the scan as it is to what a generator draws of it when told that it is of this centre."

LEAST = np.float32(0.02)
"""Share of its intensity that a voxel keeps at least, as a scanner stores no negative ones."""

GUIDANCE: Final = "guidance"


class _State:
    """A scan on the generator's grid; its slices are inverted when they are changed first."""

    def __init__(self, generator: TrainedGenerator, slices: Slices, course: Course, edit: EditSettings | None) -> None:
        self.slices, self.course = slices, course
        self._generator, self._edit = generator, edit

    @cached_property
    def editor(self) -> SliceEditor:
        return SliceEditor(self._generator, self.slices, self.course, self._edit)


class GeneratedProperty(ScanProperty[_State]):
    """Changes of slices along the third canonical axis, added to the scan; see `editing` for what is added.

    Only the channels that the generator knows change. The background stays zero and the head positive.

    Args:
        generator: NAME of a trained generator; of one that draws the looks of centres NAME:CENTRE. With ":guidance"
            behind it the course is by the scale of the guidance, else by the condition.
        store: where generators are kept; the settings' by default.
        edit: how slices are changed.

    Raises:
        NotFoundError: there is no such generator.
        InputError: a damaged generator, or a target that it does not know.
    """

    def __init__(self, generator: str, store: GeneratorStore | None = None, edit: EditSettings | None = None) -> None:
        super().__init__("generated")
        name, *rest = generator.split(":")
        self._by: By = GUIDANCE if GUIDANCE in rest else "condition"
        targets = [word for word in rest if word != GUIDANCE]
        if len(targets) > 1:
            msg = f"bad generator {generator!r}; accepted: NAME, NAME:CENTRE, with :{GUIDANCE} behind it if wanted"
            raise InputError(msg)
        self._generator = (store or GeneratorStore(settings().generators)).load(name, runtime.device())
        self._target = target_of(self._generator.condition, targets[0] if targets else None)
        self._edit = edit
        self.info = self._described()

    @property
    def generator(self) -> TrainedGenerator:
        """What draws."""
        return self._generator

    def unusable(self, scan: Scan) -> str | None:
        reason = super().unusable(scan)
        if reason is not None:
            return reason
        if isinstance(self._generator.condition, LoadCondition) and scan.lesions is None:
            return "its lesions are not known, neither from an expert nor from a model"
        try:
            self.prepared(scan)
        except InputError as error:
            return str(error)
        return None

    def limits(self, scan: Scan) -> tuple[float, float]:
        return self.prepared(scan).course.limits

    def neutral(self, scan: Scan) -> float | None:
        return self.prepared(scan).course.neutral

    def region(self, scan: Scan) -> Volume | None:
        """Where slices may change, in [0, 1], float32 on the grid of the scan's first image; None: everywhere."""
        state = self.prepared(scan)
        region = state.editor.region_of_slices()
        return None if region is None else scan.reference.with_array(state.slices.back(region, scan.reference))

    def prepare(self, scan: Scan) -> _State:
        generator = self._generator
        slices = slices_of(scan.images, generator.config)
        return _State(generator, slices, self._course(scan, slices), self._edit)

    def changed(self, scan: Scan, state: _State, value: float) -> dict[str, Volume]:
        change = state.editor.change(value)
        result = dict(scan.images)
        for number, channel in enumerate(self._generator.config.channels):
            volume = scan.images[channel]
            image = volume.array.astype(np.float32)
            added = state.slices.back(change[:, number], volume) * np.float32(state.slices.gain[number])
            result[channel] = volume.with_array(in_head(image, np.maximum(image + added, LEAST * image)))
        return result

    def _course(self, scan: Scan, slices: Slices) -> Course:
        condition = self._generator.condition
        if not isinstance(condition, LoadCondition):
            return CentreCourse(condition, str(self._target), len(slices.height), self._by, SCALE, MOST_SCALE)
        if scan.lesions is None:
            msg = "the lesions of the scan are not known, neither from an expert nor from a model"
            raise InputError(msg)
        area = lesion_areas(slices, slices.on_grid(scan.lesions))
        return LoadCourse(condition, area, slices, self._by, SCALE, MOST_SCALE)

    def _described(self) -> PropertyInfo:
        condition, name = self._generator.condition, self._generator.name
        what = "lesion load" if isinstance(condition, LoadCondition) else f"looks of centre {self._target}"
        title = f"{what[0].upper()}{what[1:]}, drawn by {name}"
        if self._by == GUIDANCE:
            towards = "more lesions" if isinstance(condition, LoadCondition) else f"centre {self._target}"
            return replace(
                self.info,
                title=f"Guidance towards {towards}, by {name}",
                description=f"Scale of the guidance of the generator {name!r} towards {towards}; 0 is the scan itself.",
                neutral=0.0,
            )
        if isinstance(condition, LoadCondition):
            return replace(self.info, title=title, units="ml", description=LOAD)
        return replace(self.info, title=title, description=CENTRE, low=0.0, high=1.0, neutral=0.0)
