"""Next sample: the image whose predictions are most likely to be wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from slicerxai.server.worklist import why

if TYPE_CHECKING:
    from slicerxai.server.worklist_schemas import Item
    from slicerxai.server.worklists import Worklists


class SuspicionFirst(Strategy):
    """The first image of the worklist that nobody has reviewed."""

    def __init__(self, worklists: Callable[[], Worklists]) -> None:
        super().__init__("Unreviewed image whose predictions are most likely wrong, by the model's alarm")
        self.worklists = worklists

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The next image: its id, the model, the score (expected number of wrong predictions; absent when nothing is
        scored) and the reason in words. None when every image has been reviewed.

        Args:
            request: "model", needed when more than one is stored.

        Raises:
            InputError, NotFoundError: no such model, or several and none named.
        """
        worklists = self.worklists()
        if not worklists.models.names():
            images = sorted(datastore.get_unlabeled_images())
            reason = "first unlabelled image; there is no model yet whose predictions could be wrong"
            return {"id": images[0], "reason": reason} if images else None
        model = worklists.model(request.get("model"))
        items = [one for one in worklists.items(model) if one.review is None]
        if model.kind == "segmenter":  # a submitted mask is its correction
            labelled = set(datastore.get_labeled_images())
            items = [one for one in items if one.image not in labelled]
        if not items:
            return None
        first = items[0]
        chosen: dict[str, Any] = {"id": first.image, "model": model.name}
        if first.suspicion is None:
            alarmed = worklists.alarm(model) is not None
            return chosen | {"reason": f"first unreviewed image; {_unscored(first, model.name, alarmed=alarmed)}"}
        what = "wrong classes" if model.kind == "classifier" else "false lesions"
        left = sum(one.suspicion is None for one in items)
        reason = f"{first.suspicion:.2f} {what} expected, the most of {len(items) - left} scored images"
        return chosen | {"score": first.suspicion, "reason": f"{reason}, {left} not scored: {why(first)}"}


def _unscored(first: Item, model: str, *, alarmed: bool) -> str:
    if not alarmed:
        return f"model {model!r} has no alarm yet, fit one with: slicerxai alarm {model} COHORT"
    return first.error or f"none is scored yet, POST /scoring/quality with model {model!r} does it"
