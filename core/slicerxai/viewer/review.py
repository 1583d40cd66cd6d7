"""The worklist in the page: sections of the Slicer panel put together, and decisions written to the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import numpy as np
from XAILib import nrrd
from XAILib.catalogue import Catalogue, Method
from XAILib.client import Client
from XAILib.errors import ServerError
from XAILib.geometry import resample
from XAILib.labels import submit_label
from XAILib.nrrd import Volume
from XAILib.review import METHOD, decide, undo
from XAILib.verdict import checks_html, verdict_html
from XAILib.worklist import CORRECTED, SEGMENTER, Item, Worklist
from XAIPanels.segment_voxels import segment_voxels
from XAIPanels.volumes import affine_of, array_of
from XAIReviewLib import words
from XAIReviewLib.feed import Feed
from XAIReviewLib.logic import ReviewLogic
from XAIReviewLib.opened import Opened, opened_nodes
from XAIReviewLib.opener import Opener
from XAIReviewLib.order import Filters, following
from XAIReviewLib.overlay_section import OverlaySection
from XAIReviewLib.parameters import ONE
from XAIReviewLib.scoring_section import ScoringSection
from XAIReviewLib.tables import completed, nearest_of, thresholds_of

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import Connection
from slicerxai.viewer.correcting import Correcting
from slicerxai.viewer.images import Images
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.origins import mark_study
from slicerxai.viewer.review_decision import Decision
from slicerxai.viewer.review_rows import class_rows, lesion_rows, worklist_rows
from slicerxai.viewer.section_widgets import Widgets

NO_IMAGE = "Open an image first."
NO_LIST = "There is no worklist."
OTHER_MODEL = "What is shown is of another model or server; open the image again."
GONE = "The server does not list this image any more; press “Refresh”."
NOTHING = "No image is open. Choose one in the worklist, or press “Next open” for the most suspicious one."
VERDICTS = {
    "reliable": "the checks of maps and alarm are passed.",
    "caution": "take maps and alarm with care.",
    "unreliable": "do not rely on maps and alarm.",
}


@dataclass(frozen=True)
class Scorer:
    """A connected server, as the section of scoring asks it."""

    client: Client
    catalogue: Catalogue

    @property
    def quality(self) -> Method | None:
        return next((method for method in self.catalogue.methods if method.name == METHOD), None)


class Review:
    """What the page knows is in the state under names that begin with `review_`.

    Attributes:
        ui: the widgets of the sections.
        logic: the opened images.
        correcting: brush and eraser.
    """

    def __init__(
        self,
        state: Any,
        application: Application,
        tasks: LoopTasks,
        connection: Connection,
        images: Images,
        correcting: Correcting,
    ) -> None:
        self.ui = Widgets(state, "review")
        self.correcting = correcting
        self.logic = ReviewLogic(application.scene)
        self._state = state
        self._tasks = tasks
        self._images = images
        self._connection = connection
        self._jumped = self._painted = ""
        state.update({f"review_{name}": [] for name in ("rows", "lesions", "classes")})
        state.update({f"review_{name}": False for name in ("only_flagged", "only_open", "correcting", "painting")})
        texts = ("counts", "verdict", "checks", "title", "reasons", "onward")
        state.update({f"review_{name}": "" for name in texts} | {"review_empty": NOTHING})
        later = tasks.timer(0, self.follow_scene, once=True)
        self.logic.on_change = later.start
        self.feed = Feed(tasks, self.follow, connection.lost)
        self.scoring = ScoringSection(self.ui, self.logic, tasks, self.feed, connection.lost, self.follow)
        self.overlays = OverlaySection(self.ui, self.logic, tasks, self.follow)
        self.decision = Decision(self.ui, self.logic, self._decide, self._undo, self.follow)
        self.opener = Opener(self.ui, self.logic, tasks, self._came, self.follow, connection.lost)
        self.ui.cancelItemButton.connect("clicked()", self.opener.cancel)
        connection.listeners.append(self._server_changed)
        correcting.listeners.append(lambda _study: self.feed.refresh())
        images.hidden.append(self._is_map)
        self.restore()

    # --- what the page shows -----------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Take the choices and opened images of the scene."""
        parameters = self.logic.parameters()
        parameters.drawing = replace(parameters.drawing, mode=ONE)  # the page has no other
        filters = parameters.filters
        self._state.update({"review_only_flagged": filters.flagged, "review_only_open": filters.open})
        for section in (self.scoring, self.overlays, self.decision):
            section.restore()
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went; another image that is looked at meanwhile stays in the views."""
        shown = self.logic.shown
        if shown is None or shown.image is self._images.chosen:
            self.overlays.update()
        self.follow()

    def follow(self) -> None:
        """The list, or the image that is shown, is another one now."""
        self.scoring.update()
        self._show_list()
        shown, item = self.logic.shown, self.shown_item
        self.decision.kind = self._kind
        self.decision.show(shown.image_id if shown is not None else "", item)
        self._follow_correcting()
        self._show_item(item)
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        offline = "Connecting …" if self._state.connecting else self.scoring.reason
        reason = offline or ("" if self.feed.worklist is not None else NO_LIST)
        self.scoring.refresh()
        self.overlays.refresh()
        self.decision.refresh(self._kind, offline or self._decision_reason())
        self.ui.cancelItemButton.visible = self.opener.busy
        onward = reason or ("" if self.other(1) is not None else "No other image is open.")
        self._state.review_onward = onward

    @property
    def shown_item(self) -> Item | None:
        """What is known of the image that the views show; None when they show none of the list."""
        shown, worklist = self.logic.shown, self.feed.worklist
        if shown is None:
            return None
        item = worklist.item(shown.image_id) if worklist is not None and self._is_of(worklist) else None
        return completed(item or Item(shown.image_id, False, None, (), (), "", None), shown.document)

    @property
    def shown_items(self) -> list[Item]:
        """What passes the filters, in the order of the list."""
        worklist, filters = self.feed.worklist, self.logic.parameters().filters
        return [] if worklist is None else [item for item in worklist.items if filters.show(item)]

    def other(self, step: int) -> Item | None:
        """The next open image of the list, or with -1 the one before."""
        shown = self.logic.shown
        return following(self.shown_items, shown.image_id if shown is not None else "", step)

    # --- what the user does ------------------------------------------------------------------------------------------

    def filter(self, flagged: bool, open_: bool) -> None:
        """Show only such images."""
        self.logic.parameters().filters = Filters(flagged=bool(flagged), open=bool(open_))
        self._state.update({"review_only_flagged": bool(flagged), "review_only_open": bool(open_)})
        self.follow()

    def open_image(self, image: str) -> None:
        """Show an image and its maps."""
        server, worklist = self._connection.server, self.feed.worklist
        if server is not None and worklist is not None:
            self.logic.parameters().server_url = server.client.url
            self._jumped = ""
            self.opener.open(server.client, worklist, image)

    def go(self, step: int) -> None:
        """Open the next open image, or with -1 the one before."""
        item = self.other(step)
        if item is not None:
            self.open_image(item.image)

    def go_to_lesion(self, number: int) -> None:
        """Centre all views on a lesion."""
        item = self.shown_item
        lesion = next((one for one in item.lesions if one.number == number), None) if item is not None else None
        if lesion is not None:
            self.logic.jump_to(lesion.centre)

    def choose_class(self, label: str) -> None:
        """Show the map of a class, where it is strongest."""
        found = self.logic.shown
        if found is None:
            return
        self.overlays.choose(label, nearest_of(found.document, label))
        place = self.logic.place(found, label)
        if place is not None:
            self.logic.pass_through(place)

    def mark_class(self, label: str, present: bool) -> None:
        """The reader says whether a class is present."""
        given = self.decision.draft.labels
        if given is not None:
            self.decision.edited({**given, label: bool(present)})
            self.follow()

    def scene_closing(self) -> None:
        """The opened images go."""
        self.opener.scene_closing()
        self._jumped = self._painted = ""
        self._state.review_painting = False

    def close(self) -> None:
        """Stop everything and let go of the scene."""
        self.opener.close()
        self.feed.close()
        self.logic.close()

    # --- the rest ----------------------------------------------------------------------------------------------------

    @property
    def _kind(self) -> str:
        return self.feed.worklist.kind if self.feed.worklist is not None else ""

    def _is_of(self, worklist: Worklist) -> bool:
        """Whether the shown image is one of this list, with maps of its model."""
        shown, server = self.logic.shown, self._connection.server
        url = server.client.url if server is not None else self.logic.parameters().server_url
        return shown is not None and (shown.origin.server, shown.origin.digest) == (url, worklist.digest)

    def _decision_reason(self) -> str:
        worklist, shown = self.feed.worklist, self.logic.shown
        if shown is None or worklist is None:
            return NO_IMAGE
        if not self._is_of(worklist):
            return OTHER_MODEL
        return "" if worklist.item(shown.image_id) is not None else GONE

    def _show_list(self) -> None:
        worklist, shown, items = self.feed.worklist, self.logic.shown, self.shown_items
        self._state.review_rows = worklist_rows(items, self._kind, shown.image_id if shown is not None else "")
        told = words.counts(worklist, len(items)) if worklist is not None else ""
        old = f"The list may be old: {self.feed.failure}" if self.feed.failure else ""
        self._state.review_counts = " ".join(filter(None, (told, old)))

    def _show_item(self, item: Item | None) -> None:
        found = self.logic.shown
        title = self.opener.image or (found.image_id if found is not None else "")
        document = found.document if found is not None and found.complete else None
        classes = item.classes if item is not None else ()
        given = self.decision.draft.labels
        if given is None and item is not None and item.review is not None:
            given = item.review.labels
        thresholds = thresholds_of(found.document) if found is not None else {}
        drawing = self.logic.parameters().drawing
        self._state.update(
            {
                "review_title": title,
                "review_empty": "" if title else NOTHING,
                "review_lesions": lesion_rows(item.lesions) if item is not None else [],
                "review_classes": class_rows(classes, thresholds, given, drawing.first),
                "review_reasons": words.reasons(classes, drawing.first) if classes else "",
                "review_verdict": "" if document is None else verdict_html(document, VERDICTS, flags=False),
                "review_checks": "" if document is None else checks_html(document),
                "review_correcting": self.decision.correcting,
            }
        )

    def _follow_correcting(self) -> None:
        """Paint while the lesions of the shown image are being corrected, and only then."""
        shown, item = self.logic.shown, self.shown_item
        wanted = self.decision.correcting and self._kind == SEGMENTER and item is not None and item.open
        painted = shown.image_id if shown is not None and wanted and shown.complete else ""
        if painted == self._painted:
            return
        self._painted, before = painted, self._painted
        self._state.review_painting = bool(painted)
        if before:
            self.correcting.discard()
        if shown is not None and painted:
            self._images.choose(shown.image)
            self.correcting.begin(_predicted(shown))
        if shown is not None and shown.lesions is not None:
            shown.lesions.SetDisplayVisibility(not painted)

    def _is_map(self, volume: Any) -> bool:
        """Whether a volume is a part of what was opened, and no image."""
        return any(volume is part for found in opened_nodes(self.logic.scene) for part in found.parts()[:-1])

    def _came(self) -> None:
        """An image, or its maps, came into the scene."""
        shown, item = self.logic.shown, self.shown_item
        if shown is not None:
            mark_study(shown.image, shown.origin.server, shown.image_id)
            self._images.choose(shown.image)
        if shown is not None and item is not None and shown.complete and self._jumped != shown.image_id:
            self._jumped = shown.image_id
            self.follow_scene()
            self._go_to_most_suspicious(item)
        self.follow_scene()

    def _go_to_most_suspicious(self, item: Item) -> None:
        if item.lesions:
            self.logic.jump_to(max(item.lesions, key=lambda one: one.suspicion or 0.0).centre)
        elif item.classes:
            self.choose_class(max(item.classes, key=lambda one: (one.flagged, one.suspicion or 0.0)).label)

    def _decide(self, decision: str, labels: Mapping[str, bool] | None, comment: str) -> None:
        server, worklist, shown = self._connection.server, self.feed.worklist, self.logic.shown
        if server is None or worklist is None or shown is None:
            return
        client, image = server.client, shown.image_id
        painted = self.correcting.labels(shown.image) if decision == CORRECTED and self._painted == image else None

        def write(stop: Event, _progress: Any) -> Item:
            if painted is not None:
                with TemporaryDirectory(prefix="xai-label-") as folder:
                    nrrd.write(path := Path(folder) / "label.nrrd", painted)
                    submit_label(client, image, path, stop)
            return decide(client, worklist, image, decision, None if painted is not None else labels, comment)

        self._write(write, self._decided)

    def _undo(self) -> None:
        server, worklist, shown = self._connection.server, self.feed.worklist, self.logic.shown
        if server is not None and worklist is not None and shown is not None:
            client, model, image = server.client, worklist.model, shown.image_id
            self._write(lambda stop, progress: undo(client, model, image), self._undone)

    def _write(self, work: Any, done: Any) -> None:
        self.decision.busy = True
        self.decision.say("Writing to the server …")
        self._tasks.start(work, done, self._not_written)
        self.refresh()

    def _decided(self, item: Item) -> None:
        self.decision.busy = False
        onward = self.other(1)  # before the decision changes the order of the list
        self.decision.written(item.image)
        self.feed.replace(item)
        self.follow()
        self.decision.succeed(f"{item.image} is {words.state(item)}.")
        if self.ui.moveOnCheck.checked and onward is not None:
            self.open_image(onward.image)

    def _undone(self, item: Item) -> None:
        self.decision.busy = False
        self.feed.replace(item)
        self.follow()
        self.decision.succeed(f"the decision on {item.image} was taken back.")

    def _not_written(self, error: BaseException) -> None:
        self.decision.busy = False
        self.decision.fail(str(error))
        self.refresh()
        if not isinstance(error, ServerError):
            raise error
        self._connection.lost(error)

    def _server_changed(self) -> None:
        server = self._connection.server
        self.scoring.fill(None if server is None else Scorer(server.client, server.catalogue))
        self.follow()


def _predicted(found: Opened) -> Volume | None:
    """All predicted lesions together, on the grid of the image; None without any."""
    node = found.lesions
    names = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
    parts = [part for part in (segment_voxels(node, name) for name in names) if part is not None]
    if not parts:
        return None
    affine = affine_of(found.image)
    i, j, k = array_of(found.image).shape
    layers = [resample((part.array != 0).astype(np.uint8), part.affine, (i, j, k), affine, 0) for part in parts]
    return Volume(np.max(layers, axis=0), affine)
