"""One property on one case: predictions along its path, their effect, and whether that is more than chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.control_paths import ControlPaths, ControlTest, control_test
from slicerxai.interventions.effect import Effect, departure, effect
from slicerxai.interventions.outcomes import GridChangedError, Output, Reader
from slicerxai.interventions.path import GradualPath
from slicerxai.interventions.permutation import PermutationTest, permutation_test
from slicerxai.interventions.property import LesionEdit
from slicerxai.interventions.property_info import PropertyInfo
from slicerxai.progress import Progress, part, silent

Array = NDArray[np.float64]
Watch = Callable[[int, Mapping[str, Volume], Tensor], None]
"""Called with the step (from 0), its images and its prepared tensor (C, *grid)."""
PATH_SHARE = 0.4
"""Share of the progress that the path itself takes, where controls follow."""
UNSEEN = 1e-4
"""Change of the prepared image, relative to its own spread, below which the network is shown the same image."""


@dataclass(frozen=True)
class Measured:
    """What a property does to the outputs of a model.

    Attributes:
        property: which one.
        values: (N,) ascending, in the property's units.
        neutral: the value at which the images are unchanged; None for recorded ones.
        outputs: O of them.
        predictions: (N, O).
        unchanged: (O,), of the unchanged images.
        effect: E|∇|, flips and the like.
        permutation: the published test; None without permutations.
        controls: test against control paths; None without them, where `uncontrolled` says why.
        control_steps: indices of the steps at which the property and its controls are compared.
        uncontrolled: why there is no test against controls; None when there is one.
        seen: (N,) size of the change as the network sees it at each step: root mean square over the voxels with signal,
            relative to their standard deviation. NaN where the image is prepared to another grid.
        mismatch: largest relative difference between the size of the property's change and of a control's, over steps;
            NaN without controls.
    """

    property: PropertyInfo
    values: Array
    neutral: float | None
    outputs: tuple[Output, ...]
    predictions: Array
    unchanged: Array
    effect: Effect
    permutation: PermutationTest | None
    controls: ControlTest | None
    control_steps: tuple[int, ...]
    uncontrolled: str | None
    seen: Array
    mismatch: float

    def reaches_the_network(self) -> bool:
        """Whether preparing the image leaves anything of the change."""
        return not bool((self.seen <= UNSEEN).all())


def measure(
    path: GradualPath,
    reader: Reader,
    *,
    permutations: int = 999,
    controls: int = 19,
    stop_after: int | None = None,
    control_steps: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
    watch: Watch | None = None,
) -> Measured:
    """Predictions along a path, and their tests.

    Controls change the prepared image itself, so that each costs a prediction for every step that is compared; the step
    at which the image is unchanged costs none. What is compared is how far the prediction departs from that of the
    unchanged image, |F(x) − F(unchanged)|, on average over these steps.

    Args:
        reader: of the path's unchanged images.
        permutations: shuffles of the published test; 0 leaves it out.
        controls: control paths; 0 leaves their test out.
        stop_after: end the test of controls after this many exceedances (Besag and Clifford 1991); None draws all.
        control_steps: most changed steps at which the property is compared with its controls, at least 2; None all.
        watch: called at every step.

    Raises:
        InputError: as `GradualPath` and the reader. Cancelled: through `progress`.
    """
    if control_steps is not None and control_steps < 2:
        msg = f"controls are compared at 2 steps at least; got {control_steps}"
        raise InputError(msg)
    walk = _walked(path, reader, part(progress, 0.0, PATH_SHARE if controls else 1.0), watch)
    neutral, unchanged = path.neutral_step(), reader.prepared.tensor
    own = reader.read(unchanged[None])[0] if neutral is None else walk.predictions[neutral]
    start, origin = unchanged, own
    if path.property.neutral(path.scan) is None:
        start, origin = walk.tensors[0], walk.predictions[0]
    compared = control_indices(len(path), neutral, control_steps)
    reason = _no_controls(walk, start, controls)
    tested, mismatch = None, float("nan")
    if reason is None:
        testing = part(progress, PATH_SHARE, 1.0)
        drawn = _Controls(walk, reader, start, origin, compared, seed, controls, testing)
        statistic = departure(walk.predictions[list(compared)], origin)
        tested = control_test(statistic, drawn, controls, stop_after, testing)
        mismatch = drawn.mismatch
    return Measured(
        property=path.property.info,
        values=np.asarray(path.values, dtype=np.float64),
        neutral=None if neutral is None else float(path.values[neutral]),
        outputs=reader.outputs,
        predictions=walk.predictions,
        unchanged=own,
        effect=effect(path.values, walk.predictions, [output.threshold for output in reader.outputs]),
        permutation=permutation_test(walk.predictions, permutations, seed) if permutations else None,
        controls=tested,
        control_steps=compared,
        uncontrolled=reason,
        seen=np.array([_size(tensor, start) for tensor in walk.tensors]),
        mismatch=mismatch,
    )


@dataclass(frozen=True)
class _Walk:
    """A path as it was read; tensors on another grid than the unchanged image are empty."""

    predictions: Array
    tensors: list[Tensor]
    experts: list[Volume | None]


def _walked(path: GradualPath, reader: Reader, progress: Progress, watch: Watch | None) -> _Walk:
    rows, tensors, experts = [], [], []
    for step in range(len(path)):
        now = part(progress, step / len(path), (step + 1) / len(path))
        now(0.0, f"{path.property.info.title}, step {step + 1} of {len(path)}")
        images = path[step]
        expert = _lesions(path, step)
        try:
            tensor = reader.prepare(images)
            row = reader.read(tensor[None], part(now, 0.2, 1.0), [expert])[0]
        except GridChangedError:
            if path.property.info.kind != "recorded":
                raise
            tensor, row = torch.empty(0), reader.read_images(images, part(now, 0.2, 1.0))
        if watch is not None:
            watch(step, images, tensor)
        rows.append(row)
        tensors.append(tensor)
        experts.append(expert)
    return _Walk(np.stack(rows), tensors, experts)


def _lesions(path: GradualPath, step: int) -> Volume | None:
    """Where lesions are in the images of a step, when it is elsewhere than in the unchanged ones."""
    if step == path.neutral_step() or not isinstance(path.property, LesionEdit):
        return None
    return path.property.lesions_at(path.scan, float(path.values[step]))


def control_indices(steps: int, neutral: int | None, most: int | None) -> tuple[int, ...]:
    """Steps at which a property and its controls are compared: both ends, the unchanged one, others evenly between.

    Args:
        neutral: the step at which nothing is changed; it does not count.
        most: changed steps, at least 2; None takes all steps.
    """
    if most is None or steps - (neutral is not None) <= most:
        return tuple(range(steps))
    chosen = {0, steps - 1} | ({neutral} if neutral is not None else set())
    changed = 2 - len({0, steps - 1} & {neutral})
    for _ in range(most - changed):
        chosen.add(max(set(range(steps)) - chosen, key=lambda step: (min(abs(step - one) for one in chosen), -step)))
    return tuple(sorted(chosen))


def _no_controls(walk: _Walk, start: Tensor, controls: int) -> str | None:
    if not controls:
        return "no control paths were asked for"
    if any(tensor.shape != start.shape for tensor in walk.tensors):
        return "its images do not lie on one grid, so nothing can be changed in the same places"
    if all(_size(tensor, start) <= UNSEEN for tensor in walk.tensors):
        return "preparing the image undoes the change, so that the network is shown the same image"
    return None


def _size(tensor: Tensor, start: Tensor) -> float:
    if tensor.shape != start.shape:
        return float("nan")
    signal = start[(start != 0) | (tensor != 0)]
    spread = float(signal.std()) if signal.numel() > 1 else 0.0
    change = float(((tensor - start).double().square().sum() / max(1, signal.numel())).sqrt())
    return change / spread if spread else change


class _Controls:
    """The statistic of the i-th control path."""

    def __init__(
        self,
        walk: _Walk,
        reader: Reader,
        start: Tensor,
        origin: Array,
        compared: Sequence[int],
        seed: int,
        count: int,
        progress: Progress,
    ) -> None:
        self._count, self._progress = count, progress
        self._reader, self._start, self._origin, self._seed = reader, start, origin, seed
        self._predictions = walk.predictions[list(compared)]
        path = [walk.tensors[step] for step in compared]
        self._changed = [index for index, tensor in enumerate(path) if not torch.equal(tensor, start)]
        changed = torch.stack([path[index] for index in self._changed])
        self._experts = [walk.experts[compared[index]] for index in self._changed]
        self._sizes = _norms(changed - start)
        self._paths = ControlPaths(start, changed)
        self.mismatch = 0.0

    def __call__(self, index: int) -> Array:
        path = self._paths.draw(torch.Generator().manual_seed((self._seed << 20) + index))
        error = (_norms(path - self._start) - self._sizes).abs() / self._sizes
        self.mismatch = max(self.mismatch, float(error.max()))
        predictions = self._predictions.copy()
        now = part(self._progress, index / self._count, (index + 1) / self._count)
        predictions[self._changed] = self._reader.read(path, _named(now, f"control {index + 1}"), self._experts)
        return departure(predictions, self._origin)


def _named(progress: Progress, name: str) -> Progress:
    """Progress whose messages begin with a name."""
    return lambda fraction, message: progress(fraction, f"{name}, {message}")


def _norms(changes: Tensor) -> Tensor:
    return changes.flatten(1).double().norm(dim=1)
