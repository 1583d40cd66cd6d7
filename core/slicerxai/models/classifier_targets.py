"""Labels of cases from their metadata."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.case import Case
from slicerxai.errors import InputError
from slicerxai.models.classifier_parameters import Target


def case_labels(cases: Sequence[Case], targets: Sequence[Target]) -> NDArray[np.bool_]:
    """Which labels are present in each case, (N, L).

    Raises:
        InputError: a case without the column of a target, or with a value that says neither yes nor no.
    """
    return np.array([[_present(case, target) for target in targets] for case in cases], dtype=np.bool_)


def _present(case: Case, target: Target) -> bool:
    if target.column not in case.metadata:
        known = ", ".join(sorted(case.metadata)) or "none"
        msg = f"case {case.id!r} has no metadata column {target.column!r} for label {target.name!r}; it has: {known}"
        raise InputError(msg)
    value = case.metadata[target.column]
    if isinstance(value, str) or not np.isfinite(value):
        msg = f"case {case.id!r} has {value!r} as {target.column!r}; label {target.name!r} needs a number"
        raise InputError(msg)
    if target.above is not None:
        return value > target.above
    if value not in (0, 1):
        msg = (
            f"case {case.id!r} has {value:g} as {target.column!r}, which is neither 0 nor 1; name a limit for label "
            f"{target.name!r}, such as {target.name}={target.column}>0"
        )
        raise InputError(msg)
    return value == 1
