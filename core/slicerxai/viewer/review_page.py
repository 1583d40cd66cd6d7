"""How the worklist is drawn: vuetify's widgets over the state of `Review`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from slicerxai.viewer.page_parts import button, correcting_tools
from slicerxai.viewer.section_widgets import Widget

if TYPE_CHECKING:
    from slicerxai.viewer.review import Review

SHORTCUTS = {"Accept": "a", "Mark wrong": "w", "Correct…": "c", "Save correction": "s", "Revert": "r", "Undo": "u"}
"""With Alt, as in the Slicer panel."""
COMPACT = {"density": "compact", "hide_details": True}
FLAG = "<span style='color: #d64545' title='flagged'>⚑</span>"


def build_review(review: Review) -> None:
    """Fill the container that is open now."""
    _draw_model(review)
    _draw_list(review)
    v3.VDivider(classes="my-2")
    html.Div("{{ review_empty }}", v_if="review_empty", classes="xai-rich")
    html.Div("{{ review_title }}", v_if="review_title", classes="text-subtitle-1")
    _draw_opening(review)
    _draw_lesions(review)
    _draw_classes(review)
    with html.Details(v_if="review_checks", classes="xai-rich"):
        html.Summary("Checks of the maps")
        html.Div(v_html=("review_checks",))
    with html.Div(v_if="review_title"):
        _draw_decision(review)


def _draw_model(review: Review) -> None:
    ui = review.ui
    _list(ui.modelCombo, "Model of the worklist")
    html.Div(v_html=(ui.alarmLabel.key("text"),), classes="xai-rich my-1")
    _button(ui.scoreButton, "Score images")
    _button(ui.stopButton, "Stop scoring")
    _progress(ui.scoreProgressBar, "Share that is scored")
    _said(ui.scoreState)


def _draw_list(review: Review) -> None:
    with html.Div(classes="d-flex ga-4"):
        _check("review_only_flagged", "only flagged", (review.filter, "[$event, review_only_open]"))
        _check("review_only_open", "only open", (review.filter, "[review_only_flagged, $event]"))
    with v3.VTable(density="compact", hover=True, raw_attrs=['aria-label="Worklist"']):
        _head("Image", "Suspicion", "Flagged", "State")
        with html.Tbody(), _row("review_rows", "image", review.open_image, "row.shown"):
            html.Td("{{ row.image }}")
            with html.Td(title=("row.suspicion_hint",)):
                html.Span("{{ row.suspicion }}")
                v3.VProgressLinear(
                    model_value=("row.share",), height=3, color="warning", raw_attrs=['aria-hidden="true"']
                )
            html.Td("{{ row.flagged }}", title=("row.reasons",))
            html.Td("{{ row.state }}", title=("row.state_hint",))
    html.Div("{{ review_counts }}", classes="xai-rich my-1")
    hint = "review_onward || 'Skips images that somebody has decided on.'"
    for step, label in ((-1, "◀ Previous open"), (1, "Next open ▶")):
        v3.VBtn(
            label, click=(review.go, f"[{step}]"), disabled=("!!review_onward",), title=(hint,), size="small",
            variant="tonal", classes="ma-1",
        )  # fmt: skip
    button("Refresh", review.feed.refresh, "Fetch the list again", disabled=("!connected",))


def _draw_opening(review: Review) -> None:
    ui = review.ui
    _progress(ui.itemProgressBar, "Progress of opening")
    _button(ui.cancelItemButton, "Stop opening")
    _said(ui.itemState)
    html.Div(v_html=("review_verdict",), v_show="review_verdict", classes="xai-rich my-1")


def _draw_lesions(review: Review) -> None:
    with html.Div(v_if="review_lesions.length"):
        with v3.VTable(density="compact", hover=True, raw_attrs=['aria-label="Predicted lesions"']):
            _head("Lesion", "Suspicion", "Volume", "Probability")
            with html.Tbody(), _row("review_lesions", "number", review.go_to_lesion, "false"):
                with html.Td(title=("row.reason",)):
                    html.Span(FLAG, v_if="row.flagged")
                    html.Span("{{ row.number }}")
                for name in ("suspicion", "volume", "probability"):
                    html.Td(f"{{{{ row.{name} }}}}", title=("row.reason",))
        with html.Div(v_for="row in review_lesions.filter(row => row.flagged)", key="row.number", classes="xai-rich"):
            html.Span("Lesion {{ row.number }}: {{ row.reason }}")


def _draw_classes(review: Review) -> None:
    ui = review.ui
    with html.Div(v_if="review_classes.length"):
        with v3.VTable(density="compact", hover=True, raw_attrs=['aria-label="Classes"']):
            _head("Class", "Present", "Probability", "Suspicion")
            with html.Tbody(), _row("review_classes", "label", review.choose_class, "row.chosen"):
                with html.Td(title=("row.reason",)):
                    html.Span(FLAG, v_if="row.flagged")
                    html.Span("{{ row.label }}")
                with html.Td():
                    v3.VCheckbox(
                        model_value=("row.present",),
                        update_modelValue=(review.mark_class, "[row.label, $event]"),
                        disabled=("!review_correcting",),
                        raw_attrs=[':aria-label="`${row.label} is present`"'],
                        **COMPACT,
                    )
                html.Td("{{ row.probability }}", title=("row.threshold",))
                html.Td("{{ row.suspicion }}", title=("row.reason",))
        html.Div(v_html=("review_reasons",), classes="xai-rich my-1")
        html.Div(v_html=(ui.legendLabel.key("text"),), classes="xai-rich")
        _slider(ui.thresholdSlider, "Hide below")
        _slider(ui.opacitySlider, "Opacity of the map")


def _draw_decision(review: Review) -> None:
    ui = review.ui
    v3.VDivider(classes="my-2")
    html.Div(v_html=(ui.reviewLabel.key("text"),), classes="xai-rich")
    with html.Div(v_if="review_painting", classes="my-1"):
        correcting_tools(review.correcting)
    v3.VTextField(
        model_value=(ui.commentEdit.key("text"),),
        update_modelValue=(ui.commentEdit.write, "[$event]"),
        disabled=(f"!{ui.commentEdit.key('enabled')}",),
        label="Comment",
        **COMPACT,
    )
    for widget, label in (
        (ui.acceptButton, "Accept"),
        (ui.correctButton, "Correct…"),
        (ui.wrongButton, "Mark wrong"),
        (ui.saveButton, "Save correction"),
        (ui.revertButton, "Revert"),
        (ui.undoButton, "Undo"),
    ):
        _button(widget, label)
    _check(ui.moveOnCheck.key("checked"), "then open the next open image", (ui.moveOnCheck.check, "[$event]"))
    _said(ui.decisionState)


def _head(*names: str) -> None:
    with html.Thead(), html.Tr():
        for name in names:
            html.Th(name)


def _row(rows: str, key: str, act: Any, chosen: str) -> Any:
    """Each of some rows; a click or Enter acts on it."""
    return html.Tr(
        v_for=f"row in {rows}",
        key=f"row.{key}",
        click=(act, f"[row.{key}]"),
        keydown_enter=(act, f"[row.{key}]"),
        __events=[("keydown_enter", "keydown.enter")],
        classes=(f"{chosen} ? 'xai-row xai-chosen' : 'xai-row'",),
        raw_attrs=['tabindex="0"'],
    )


def _button(widget: Widget, label: str) -> None:
    v3.VBtn(
        label,
        v_show=widget.key("visible"),
        click=widget.click,
        disabled=(f"!{widget.key('enabled')}",),
        title=(widget.key("toolTip"),),
        size="small",
        variant="tonal",
        classes="ma-1",
        raw_attrs=[f'accesskey="{SHORTCUTS[label]}"'] if label in SHORTCUTS else [],
    )


def _check(name: str, label: str, changed: Any) -> None:
    v3.VCheckbox(model_value=(name,), update_modelValue=changed, label=label, **COMPACT)


def _list(widget: Widget, label: str) -> None:
    v3.VSelect(
        items=(widget.key("items"),),
        model_value=(widget.key("currentIndex"),),
        update_modelValue=(widget.choose, "[$event]"),
        disabled=(f"!{widget.key('enabled')}",),
        label=label,
        **COMPACT,
    )


def _slider(widget: Widget, label: str) -> None:
    v3.VSlider(
        model_value=(widget.key("value"),),
        update_modelValue=(widget.move, "[$event]"),
        min=0,
        max=100,
        step=1,
        label=f"{label}, %",
        raw_attrs=[f'aria-label="{label}, %"'],
        **COMPACT,
    )


def _progress(widget: Widget, label: str) -> None:
    v3.VProgressLinear(
        v_show=widget.key("visible"),
        model_value=(f"{widget.key('value')} / 10",),
        height=6,
        color="primary",
        raw_attrs=[f'aria-label="{label}"'],
    )


def _said(widget: Widget) -> None:
    html.Div(v_html=(widget.key("text"),), classes="xai-rich my-1", raw_attrs=['role="status"'])
