"""The views of the page: axial, coronal, sagittal and 3D, together or one of them large."""

from __future__ import annotations

from typing import Any

from slicerxai.viewer.application import Application

NAMES = ("axial", "coronal", "sagittal", "3d")
TITLES = {"axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal", "3d": "3D"}
ALL = "all"
STILL_FPS = 15.0
"""Most pictures a second that are drawn of a view; a software renderer shares the processor with everything else."""


class Views:
    """Makes the views; `draw` puts them into the page.

    Attributes:
        large: name of the state that holds the view that is shown alone, or `ALL`.
    """

    large = "large_view"

    def __init__(self, server: Any, application: Application) -> None:
        from trame_rca.encoders import RcaImageEncoder
        from trame_slicer.rca_view import register_rca_factories
        from trame_slicer.views import ViewLayoutDefinition

        self._server = server
        self._manager = application.core.view_manager
        register_rca_factories(
            self._manager,
            server,
            slice_view_ui_f=_slice_bar,
            three_d_view_ui_f=_nothing,
            rca_encoder=RcaImageEncoder.JPEG,
            target_fps=STILL_FPS,
        )
        definitions = {
            "axial": ViewLayoutDefinition.axial_view(),
            "coronal": ViewLayoutDefinition.coronal_view(),
            "sagittal": ViewLayoutDefinition.sagittal_view(),
            "3d": ViewLayoutDefinition.threed_view(background_color=("#101216", "#2a2e36")),
        }
        self._views = {name: self._manager.create_view(definition) for name, definition in definitions.items()}
        for view in self._manager.get_slice_views():
            _prepare(view, application.core.app_logic)
        self._tags = {name: view.get_singleton_tag() for name, view in self._views.items()}
        server.state[self.large] = ALL
        server.state.change(self.large)(lambda large_view, **_: self._arrange(large_view))
        self._arrange(ALL)

    def draw(self) -> None:
        """The views in a grid; a double click makes one large, and small again."""
        from trame.widgets import client, html

        with html.Div(style=("large_view === 'all' ? grid_style : grid_style_large",), classes="xai-grid"):
            for name in NAMES:
                with html.Div(
                    v_show=(f"large_view === 'all' || large_view === '{name}'",),
                    classes="xai-view",
                    raw_attrs=[f'data-view="{name}"', 'role="group"', f'aria-label="{TITLES[name]} view"'],
                ):
                    client.ServerTemplate(name=self._server.translator.translate_key(self._tags[name]))
                    html.Button(
                        f"{{{{ large_view === 'all' ? '{TITLES[name]} ⤢' : '{TITLES[name]} ⤡' }}}}",
                        classes="xai-view-name",
                        click=f"large_view = large_view === 'all' ? '{name}' : 'all'",
                        title="Enlarge this view, or show all four again",
                    )

    def render(self, *_: Any, **__: Any) -> None:
        """Draw all views anew, as for a page that was loaded again."""
        for view in self._views.values():
            view.schedule_render()

    def _arrange(self, large: str) -> None:
        shown = NAMES if large == ALL else (large,)
        self._manager.set_current_view_ids([self._tags[name] for name in shown])


def _prepare(view: Any, app_logic: Any) -> None:
    """Let a slice view draw its image below everything else, and anew whenever its layers change.

    trame-slicer adds the image when the first one comes: what was added before would hide it. And it draws when nodes
    of the view change, not when the opacity or the colours of a layer do.
    """
    from vtkmodules.vtkCommonCore import vtkCommand

    view._render_manager._AddSliceActorToRendererIfNeeded()
    logic = app_logic.GetSliceLogic(view.get_view_node())
    logic.AddObserver(vtkCommand.ModifiedEvent, view.schedule_render)


def _slice_bar(server: Any, _view_id: str, view: Any) -> None:
    """The slider of a slice view."""
    from trame.widgets import html
    from trame_slicer.app.logic.slice_view_logic import connect_slice_view_slider_to_state
    from trame_slicer.app.ui.slider import Slider

    with html.Div(classes="xai-slice-bar"):
        slider = connect_slice_view_slider_to_state(server, view)
        Slider(
            slider,
            density="compact",
            color="white",
            track_size=2,
            thumb_size=12,
            raw_attrs=[f'aria-label="{view.get_orientation()} slice"'],
        )


def _nothing(*_: Any) -> None:
    """A 3D view has no bar."""
