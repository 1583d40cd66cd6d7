"""The images of the page: files that are sent to it, studies of the server, cases of its cohorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

from XAICohortLib.logic import CohortLogic
from XAICohortLib.opener import CaseOpener
from XAICohortLib.prepared import Origin
from XAICohortLib.sources import ServerSource
from XAILib.client import OnProgress
from XAILib.cohorts import Cohort
from XAILib.errors import ServerError
from XAILib.nifti import decode_image
from XAIPanels.errors import LoadError, SceneError
from XAIPanels.images import add_image
from XAIPanels.nodes import nodes_of_class
from XAIPanels.views import Layers
from XAIReviewLib.prepared import Image, image_of
from XAIReviewLib.work import fetch

from slicerxai.viewer.application import Application
from slicerxai.viewer.connection import Connection
from slicerxai.viewer.loop_tasks import LoopTasks
from slicerxai.viewer.messages import Messages
from slicerxai.viewer.origins import mark_study
from slicerxai.viewer.uploads import Uploads

UPLOAD_LIMIT = 512 * 1024**2
"""Largest files together, bytes."""
TOO_LARGE = f"The files are larger than {UPLOAD_LIMIT // 1024**2} MB together; open fewer at once."
UNREADABLE = "“{}” is neither NIfTI nor NRRD; accepted: .nii, .nii.gz, .nrrd with one grey-level volume."


class Images:
    """Loads images and says which one is chosen.

    Attributes:
        listeners: called when another image was chosen or images came or went.
        hidden: says of a volume whether it is a map or another part of a result.
    """

    def __init__(self, state: Any, application: Application, tasks: LoopTasks, connection: Connection) -> None:
        self.listeners: list[Callable[[], None]] = []
        self.hidden: list[Callable[[Any], bool]] = []
        self.cohorts = CohortLogic(application.scene)
        self.cohorts.beside = False  # the page has no views beside each other
        self._state = state
        self._application = application
        self._tasks = tasks
        self._connection = connection
        self._cohort: Cohort | None = None
        self._layers = Layers(application.scene)
        self._seen: Any = None
        self._reading = self._closed = False
        self._opening: Origin | None = None
        self.said = Messages(state, "image")
        self.uploads = Uploads(UPLOAD_LIMIT, self.open_files, lambda: self.said.fail(TOO_LARGE))
        self.opener = CaseOpener(self.said, self.cohorts, tasks, self._opening_changed, connection.lost)
        lists = ("image_items", "study_items", "cohort_items", "case_items")
        state.update({name: [] for name in lists} | {"loading": False})
        state.update({"image": None, "study": None, "cohort": None, "cohort_case": None})
        state.change("image")(lambda image, **_: self._chosen(image))
        state.change("cohort")(lambda cohort, **_: self._open_cohort(cohort))
        connection.listeners.append(self._server_changed)
        self.cohorts.on_change = self.follow_scene

    @property
    def chosen(self) -> Any:
        """The volume to look at and to explain; None without one."""
        return self._application.scene.GetNodeByID(self._state.image) if self._state.image else None

    def follow_scene(self) -> None:
        """Offer the images that the scene has; not while another scene comes, which is half there."""
        if self._closed:
            return
        volumes = [
            volume
            for volume in nodes_of_class(self._application.scene, "vtkMRMLScalarVolumeNode")
            if not volume.IsA("vtkMRMLLabelMapVolumeNode") and not any(hidden(volume) for hidden in self.hidden)
        ]
        self._state.image_items = [{"title": volume.GetName(), "value": volume.GetID()} for volume in volumes]
        if self._state.image not in [volume.GetID() for volume in volumes]:
            self._state.image = volumes[-1].GetID() if volumes else None
        for listener in self.listeners:
            listener()

    def restore(self) -> None:
        """A scene was opened: its views are left as they were saved; `follow_scene` is to be called then."""
        composites = nodes_of_class(self._application.scene, "vtkMRMLSliceCompositeNode")
        backgrounds = [composite.GetBackgroundVolumeID() for composite in composites]
        seen = next((self._application.scene.GetNodeByID(found) for found in backgrounds if found), None)
        self._seen = seen
        self._closed = False
        self._state.image = seen.GetID() if seen is not None else None

    def scene_closing(self) -> None:
        """Nobody waits for a case any more; `restore` follows."""
        self._opening, self._closed = None, True
        self.opener.forget()

    def close(self) -> None:
        """Stop everything and let go of the scene."""
        self.opener.close()
        self.cohorts.close()

    def choose(self, volume: Any) -> None:
        """Look at a volume."""
        self._state.image = volume.GetID()
        self.follow_scene()
        self.show(volume)

    def show(self, volume: Any) -> None:
        """Show a volume alone in the slice views."""
        self._seen = volume
        if self._layers.show(volume, None, 0.0):
            self._application.fit_views()

    # --- files -------------------------------------------------------------------------------------------------------

    def open_files(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Load files by name and content."""
        self._start(f"Reading {files[0][0]}", lambda stop, progress: [_read(*file) for file in files], self._add_all)

    # --- studies and cases -------------------------------------------------------------------------------------------

    def open_study(self) -> None:
        """Load the chosen study of the server."""
        server, study = self._connection.server, self._state.study
        if server is None or not study:
            return

        def work(stop: Event, progress: OnProgress) -> Image:
            image = fetch(server.client, study, stop, progress)
            if image is None:
                msg = f"The server keeps “{study}” in a format that cannot be shown here."
                raise LoadError(msg)
            return image

        def done(image: Image) -> None:
            mark_study(self._add(study, image), server.client.url, study)
            self.said.succeed(f"{study} is open.")

        self._start("Fetching the study", work, done)

    def open_case(self) -> None:
        """Load the chosen case with all its images and masks; how far its raters agree is measured afterwards."""
        server, cohort = self._connection.server, self._cohort
        case = next((one for one in cohort.cases if one.id == self._state.cohort_case), None) if cohort else None
        if server is None or case is None or self.opener.busy:
            return
        source, name = ServerSource(server.client, str(self._state.cohort)), str(self._state.cohort)
        self._opening = Origin(source.kind, name, case.id)
        self.opener.open(source, name, case)

    def _opening_changed(self) -> None:
        """A case came, or not, or the agreement of its raters was measured."""
        self._tell_loading()
        if self._opening is not None and not self.opener.busy:
            node, self._opening = self.cohorts.opened(self._opening), None
            if node is not None:
                images = self.cohorts.case(node).images
                self.choose(images.get(self.cohorts.parameters().drawing.modality) or next(iter(images.values())))
        for listener in self.listeners:
            listener()

    def _open_cohort(self, name: str | None) -> None:
        server = self._connection.server
        self._cohort = None
        self._state.update({"case_items": [], "cohort_case": None})
        if server is None or not name:
            return

        def done(cohort: Cohort) -> None:
            self._cohort = cohort
            self._state.case_items = [case.id for case in cohort.cases]
            self._state.cohort_case = cohort.cases[0].id if cohort.cases else None
            self.said.say("")

        self._start("Reading the cohort", lambda stop, progress: server.client.cohort(name, stop), done)

    # --- the rest ----------------------------------------------------------------------------------------------------

    def _server_changed(self) -> None:
        server = self._connection.server
        studies = list(server.studies) if server is not None else []
        cohorts = list(server.cohorts.sizes) if server is not None and server.cohorts is not None else []
        self._state.update({"study_items": studies, "cohort_items": cohorts})
        if self._state.study not in studies:
            self._state.study = studies[0] if studies else None
        if self._state.cohort not in cohorts:
            self._state.cohort = cohorts[0] if cohorts else None
            self._open_cohort(self._state.cohort)

    def _start(self, words: str, work: Callable[..., Any], done: Callable[[Any], None]) -> None:
        self.said.progress(0.0, words, None)
        self._reading = True
        self._tell_loading()

        def arrived(value: Any) -> None:
            self._reading = False
            self._tell_loading()
            done(value)

        def failed(error: BaseException) -> None:
            self._reading = False
            self._tell_loading()
            known = isinstance(error, (ServerError, SceneError))
            self.said.fail(str(error) if known else f"Unexpected fault: {error!r}. Please report it.")
            self._connection.lost(error)

        self._tasks.start(work, arrived, failed, self.said.progress)

    def _tell_loading(self) -> None:
        self._state.loading = self._reading or self.opener.busy

    def _add_all(self, images: list[tuple[str, Image]]) -> None:
        for name, image in images:
            self._add(name, image)
        self.said.succeed(f"{', '.join(name for name, _ in images)} opened.")

    def _add(self, name: str, image: Image) -> Any:
        volume = add_image(self._application.scene, image.volume, name)
        display = volume.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(*image.window)
        self.choose(volume)
        return volume

    def _chosen(self, identifier: str | None) -> None:
        volume = self._application.scene.GetNodeByID(identifier) if identifier else None
        if volume is not None and volume is not self._seen:
            self.show(volume)
        for listener in self.listeners:
            listener()


def _read(name: str, content: bytes) -> tuple[str, Image]:
    """An image file; in any thread. Raises `LoadError` in words."""
    try:
        volume = decode_image(content)
    except ValueError as error:
        msg = f"“{name}” is damaged: {error}."
        raise LoadError(msg) from error
    if volume is None:
        raise LoadError(UNREADABLE.format(name))
    return name.split(".", maxsplit=1)[0], image_of(volume)
