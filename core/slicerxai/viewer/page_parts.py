"""Small pieces of the page that several sections use."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

if TYPE_CHECKING:
    from slicerxai.viewer.app import ViewerApp
    from slicerxai.viewer.correcting import Correcting
    from slicerxai.viewer.uploads import Uploads

STYLE = """
.xai-grid { display: grid; width: 100%; height: 100%; gap: 2px; background: #2b2f36; }
.xai-view { position: relative; min-width: 0; min-height: 0; overflow: hidden; background: black; }
.xai-view-name { position: absolute; top: 4px; left: 8px; color: #e8eaed; font-size: 12px; cursor: pointer;
  background: rgba(0,0,0,.45); padding: 1px 6px; border-radius: 3px; }
.xai-slice-bar { position: absolute; bottom: 0; left: 12px; right: 12px; }
.xai-rich { font-size: 13px; line-height: 1.35; overflow-wrap: anywhere; }
.xai-rich td { font-size: 12px; }
.xai-overlaps { font-size: 12px; border-collapse: collapse; }
.xai-overlaps th { font-weight: normal; text-align: left; padding-right: 8px; }
.xai-overlaps td { padding: 1px 6px; text-align: center; color: black; }
.xai-row { cursor: pointer; }
.xai-row:focus { outline: 2px solid currentColor; }
.xai-chosen { background: rgba(66, 133, 244, .18); }
"""


def status(name: str) -> None:
    """What goes on, read out by screen readers: of `Messages(state, name)`."""
    with html.Div(v_show=f"{name}_text", classes="my-1"):
        v3.VProgressLinear(
            v_if=(f"{name}_percent !== null",),
            model_value=(f"{name}_percent",),
            color="primary",
            height=6,
            raw_attrs=['aria-label="progress"'],
        )
        html.Div(
            f"{{{{ {name}_text }}}}",
            classes=(f"'xai-rich ' + ({name}_kind === 'info' ? '' : 'text-' + {name}_kind)",),
            raw_attrs=['role="status"'],
        )


def button(text: str, click: Any, hint: str = "", **options: Any) -> v3.VBtn:
    """A button with a tooltip."""
    return v3.VBtn(
        text,
        click=click,
        title=hint or text,
        size="small",
        variant=options.pop("variant", "tonal"),
        classes=f"ma-1 {options.pop('classes', '')}",
        **options,
    )


def choice(name: str, label: str, items: str, **options: Any) -> v3.VSelect:
    """A list of which one is chosen.

    Args:
        name, items: of the state.
    """
    return v3.VSelect(
        label=label, v_model=(name,), items=(items,), density="compact", hide_details=True, classes="my-1", **options
    )


def slider(name: str, label: str, minimum: float, maximum: float, step: float, **options: Any) -> v3.VSlider:
    """A number of the state by hand."""
    return v3.VSlider(
        label=label,
        v_model=(name,),
        min=minimum,
        max=maximum,
        step=step,
        density="compact",
        hide_details=True,
        thumb_label=True,
        color="primary",
        raw_attrs=[f'aria-label="{label}"'],
        **options,
    )


def file_choice(app: ViewerApp, label: str, uploads: Uploads, accept: str, multiple: bool, **options: Any) -> None:
    """Files of the reader's computer, which are sent in pieces unless they are too large."""
    receive, refuse = (app.server.trigger_name(function) for function in (uploads.receive, uploads.refuse))
    v3.VFileInput(
        label=label,
        multiple=multiple,
        density="compact",
        hide_details=True,
        raw_attrs=[f'accept="{accept}"'],
        change=(
            "const chosen = Array.from($event.target.files || []); "
            f"chosen.reduce((sum, file) => sum + file.size, 0) > {uploads.limit} "
            f"? trigger('{refuse}') : window.load_files_by_chunks(chosen, {{trigger_name: '{receive}'}})"
        ),
        **options,
    )


def box(name: str, label: str, **options: Any) -> v3.VCheckbox:
    """Something of the state that is so or not."""
    return v3.VCheckbox(label=label, v_model=(name,), density="compact", hide_details=True, **options)


def rich(name: str, label: str) -> None:
    """HTML of the extension's words, which escape what comes from elsewhere."""
    html.Div(v_html=(name,), v_show=(name,), classes="xai-rich my-1", raw_attrs=[f'aria-label="{label}"'])


def link(text: str, address: str, hint: str) -> v3.VBtn:
    """A page in a tab of its own; absent while its address, of the state, is empty."""
    return v3.VBtn(
        text,
        v_if=address,
        href=(address,),
        title=hint,
        size="small",
        variant="tonal",
        classes="ma-1",
        raw_attrs=['target="_blank"', 'rel="noopener"'],
    )


def section(title: str, draw: Callable[[], None], value: str, **options: Any) -> None:
    """A part that can be folded."""
    with v3.VExpansionPanel(value=value, **options):
        v3.VExpansionPanelTitle(title)
        with v3.VExpansionPanelText():
            draw()


def correcting_tools(correcting: Correcting) -> None:
    """Brush, eraser and undo of a correction."""
    with v3.VBtnToggle(v_model=("tool",), mandatory=True, density="compact", divided=True, classes="my-1"):
        for tool, title, hint in (
            ("look", "Look", "Move through the slices"),
            ("paint", "Paint", "Add to the lesions"),
            ("erase", "Erase", "Take away from the lesions"),
        ):
            v3.VBtn(title, value=tool, size="small", title=hint)
    slider("brush", "Brush (mm)", 1, 20, 0.5)
    button("Undo stroke", correcting.undo, "Take back the last stroke", disabled=("!can_undo",))
    button("Redo stroke", correcting.redo, "Do it again", disabled=("!can_redo",))
