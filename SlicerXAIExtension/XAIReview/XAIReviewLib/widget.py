"""The panel: sections put together, decisions written to the server, and what happens when the scene changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from XAILib.client import Client
from XAILib.errors import ServerError
from XAILib.review import decide, undo
from XAILib.worklist import Item, Worklist
from XAIPanels.reports import Reports
from XAIPanels.server_section import ServerSection
from XAIPanels.tasks import Tasks
from XAIPanels.words import RESEARCH_USE

from . import words
from .decision_section import DecisionSection
from .feed import Feed
from .item_section import ItemSection
from .logic import ReviewLogic
from .opener import Opener
from .overlay_section import OverlaySection
from .scoring_section import ScoringSection
from .server import ask, found
from .tables import completed
from .worklist_section import WorklistSection

OTHER_MODEL = _("What is shown is of another model or server; open the image again.")
GONE = _("The server does not list this image any more; press “Refresh”.")
NO_IMAGE = _("Open an image first.")
NO_MAPS = _("The maps of the image are not there yet.")
UNDONE = _("the decision on {} was taken back.")
EARLIER = _("This image was opened in an earlier session; open it again to get its report.")


class ReviewPanel:
    """Everything that is seen of the module.

    Attributes:
        root: the widget to put into the module's layout.
    """

    def __init__(self, ui_file: str) -> None:
        self.root = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.root)
        self.ui.researchNote.text = f"<small>{RESEARCH_USE}</small>"
        self.logic = ReviewLogic()
        self._tasks = Tasks()
        self._jumped = ""
        self.server = ServerSection(self.ui, self._tasks, ask, found, self._server_changed)
        self.feed = Feed(self._tasks, self.follow_worklist, self.server.lost)
        self.scoring = ScoringSection(
            self.ui, self.logic, self._tasks, self.feed, self.server.lost, self.follow_worklist
        )
        self.worklist = WorklistSection(self.ui, self.logic, self.feed, self.open_image, self.refresh)
        self.overlays = OverlaySection(self.ui, self.logic, self._tasks, self._class_chosen)
        self.decision = DecisionSection(self.ui, self.logic, self._decide, self._undo, self.follow_worklist)
        self.item = ItemSection(self.ui, self.logic, self.overlays, self.decision, self.refresh)
        self.opener = Opener(self.ui, self.logic, self._tasks, self._came, self.follow_worklist, self.server.lost)
        self.reports = Reports(self._tasks, self.opener.state.say, EARLIER)
        self.ui.cancelItemButton.connect("clicked()", self.opener.cancel)
        self.ui.reportButton.connect("clicked()", self.open_report)
        self._later = qt.QTimer()
        self._later.singleShot = True
        self._later.interval = 0
        self._later.connect("timeout()", self.follow_scene)
        self.logic.on_change = self._later.start
        self.root.setMRMLScene(slicer.mrmlScene)
        self.restore()

    def restore(self) -> None:
        """Take the choices and opened images of the scene."""
        self.server.propose(self.logic.parameters().server_url)
        for section in (self.scoring, self.worklist, self.overlays, self.decision):
            section.restore()
        self.follow_scene()

    def follow_scene(self) -> None:
        """Nodes came or went."""
        self.overlays.update()
        self.follow_worklist()

    def follow_worklist(self) -> None:
        """The list, or the image that is shown, is another one now."""
        self.scoring.update()
        self.worklist.update()
        item = self.shown_item
        shown = self.logic.shown
        self.decision.show(shown.image_id if shown is not None else "", item)
        self.item.show(item, self.opener.image)
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be used and say why the rest cannot."""
        worklist = self.feed.worklist
        connecting = _("Connecting …") if self.server.connecting else ""
        offline = connecting or self.scoring.reason
        self.server.refresh()
        self.scoring.refresh()
        self.worklist.refresh(offline or ("" if worklist is not None else _("There is no worklist.")))
        self.overlays.refresh()
        self.item.refresh(offline or self._report_reason())
        self.decision.refresh(worklist.kind if worklist is not None else "", offline or self._decision_reason())
        self.ui.cancelItemButton.visible = self.opener.busy

    @property
    def shown_item(self) -> Item | None:
        """What is known of the image that the views show; None when they show none, or one of another list."""
        shown, worklist = self.logic.shown, self.feed.worklist
        if shown is None:
            return None
        item = worklist.item(shown.image_id) if worklist is not None and self._is_of(worklist) else None
        if item is None:  # offline, or of another model: what the result itself says
            item = Item(shown.image_id, False, None, (), (), "", None)
        return completed(item, shown.document)

    def open_image(self, image: str) -> None:
        """Show an image and its maps."""
        server, worklist = self.server.server, self.feed.worklist
        if server is not None and worklist is not None:
            choices = self.logic.parameters()
            choices.server_url = self.server.url
            self.ui.itemSection.collapsed = False
            self.ui.modelSection.collapsed = worklist.alarm is not None and not worklist.scoring
            self._jumped = ""
            self.opener.open(server.client, worklist, image)

    def scene_closing(self) -> None:
        """The opened images go."""
        self.reports.forget()
        self.server.forget_plans()
        self.opener.scene_closing()

    def close(self) -> None:
        """Stop everything and let go of the scene; the panel cannot be used afterwards."""
        self._later.stop()
        self.opener.close()
        self.feed.close()
        self.logic.close()
        self._tasks.close()
        self.reports.close()
        self.server.close()

    def open_report(self) -> None:
        """Open the shown image's report in the web browser."""
        server, shown = self.server.server, self.logic.shown
        if server is not None and shown is not None and not self._report_reason():
            self.reports.open(server.client, shown.node)

    def _came(self) -> None:
        """An image, or its maps, came into the scene."""
        shown, item = self.logic.shown, self.shown_item
        if shown is not None and self.opener.job:
            self.reports.remember(shown.node, self.opener.job)
        self.follow_scene()
        if shown is not None and item is not None and shown.complete and self._jumped != shown.image_id:
            self._jumped = shown.image_id
            self.item.go()

    def _class_chosen(self) -> None:
        self.item.show(self.shown_item, self.opener.image)
        self.refresh()

    def _is_of(self, worklist: Worklist) -> bool:
        """Whether the shown image is one of this list, with maps of its model."""
        shown = self.logic.shown
        return shown is not None and (shown.origin.server, shown.origin.digest) == (self._url, worklist.digest)

    @property
    def _url(self) -> str:
        server = self.server.server
        return server.client.url if server is not None else self.logic.parameters().server_url

    def _report_reason(self) -> str:
        shown = self.logic.shown
        if shown is None or not shown.complete:
            return NO_MAPS
        return self.reports.reason(shown.node)

    def _decision_reason(self) -> str:
        worklist, shown = self.feed.worklist, self.logic.shown
        if shown is None or worklist is None:
            return NO_IMAGE
        if not self._is_of(worklist):
            return OTHER_MODEL
        return "" if worklist.item(shown.image_id) is not None else GONE

    def _decide(self, decision: str, labels: Mapping[str, bool] | None, comment: str) -> None:
        server, worklist, shown = self.server.server, self.feed.worklist, self.logic.shown
        if server is None or worklist is None or shown is None:
            return
        client, image = server.client, shown.image_id
        self._write(lambda: decide(client, worklist, image, decision, labels, comment), self._decided)

    def _undo(self) -> None:
        server, worklist, shown = self.server.server, self.feed.worklist, self.logic.shown
        if server is None or worklist is None or shown is None:
            return
        client: Client = server.client
        model, image = worklist.model, shown.image_id
        self._write(lambda: undo(client, model, image), self._undone)

    def _write(self, work: Any, done: Any) -> None:
        self.decision.busy = True
        self.decision.say(_("Writing to the server …"))
        self._tasks.start(lambda stop, progress: work(), done, self._not_written)
        self.refresh()

    def _decided(self, item: Item) -> None:
        self.decision.busy = False
        following = self.worklist.other(1)  # before the decision changes the order of the list
        self.decision.written(item.image)
        self.feed.replace(item)
        self.follow_worklist()
        self.decision.succeed(_("{image} is {item}.").format(image=item.image, item=words.state(item)))
        if self.ui.moveOnCheck.checked and following is not None:
            self.worklist.table.choose(following.image)
            self.open_image(following.image)

    def _undone(self, item: Item) -> None:
        self.decision.busy = False
        self.feed.replace(item)
        self.follow_worklist()
        self.decision.succeed(UNDONE.format(item.image))

    def _not_written(self, error: BaseException) -> None:
        self.decision.busy = False
        self.decision.fail(str(error))
        self.refresh()
        if not isinstance(error, ServerError):
            raise error
        self.server.lost(error)

    def _server_changed(self) -> None:
        self.scoring.fill(self.server.server)
        self.follow_worklist()
