"""How the raters are drawn: their table, the map of their agreement, and their overlaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trame.widgets import html
from trame.widgets import vuetify3 as v3

from slicerxai.viewer.page_parts import rich, slider

if TYPE_CHECKING:
    from slicerxai.viewer.raters import Raters


def build_raters(raters: Raters) -> None:
    """Fill the container that is open now."""
    with v3.VTable(density="compact", raw_attrs=['aria-label="Raters"']):
        with html.Thead(), html.Tr():
            for title, hint in (
                ("Rater", "Whose mask; the box says whether it is drawn"),
                ("ml", "What is drawn, in millilitres"),
                ("Lesions", "Connected parts of at least 3 mm³"),
                ("Dice", "Overlap with the consensus: 0 for none, 1 for the same"),
            ):
                html.Th(title, title=hint)
        with html.Tbody(), html.Tr(v_for="one in raters", key="one.rater"):
            with html.Td(classes="d-flex align-center"):
                html.Span(
                    "■",
                    style=("`color: ${one.colour}; text-shadow: 0 0 2px #606060`",),
                    raw_attrs=['aria-hidden="true"'],
                )
                v3.VCheckbox(
                    label=("one.name",),
                    model_value=("one.drawn",),
                    update_modelValue=(raters.draw, "[one.rater, $event]"),
                    density="compact",
                    hide_details=True,
                )
            for name in ("volume", "lesions", "dice"):
                html.Td(f"{{{{ one.{name} }}}}")
    html.Div("{{ raters_said }}", v_show="raters_said", classes="xai-rich my-1", raw_attrs=['role="status"'])
    with html.Div(v_show="agreement"):
        rich("raters_legend", "legend of the agreement")
        slider("agreement_opacity", "Opacity of the agreement", 0, 1, 0.05)
    with (
        html.Table(v_show="rater_overlaps.length", classes="xai-overlaps", raw_attrs=['aria-label="Overlaps"']),
        html.Tbody(),
        html.Tr(v_for="row in rater_overlaps", key="row.name"),
    ):
        html.Th("{{ row.name }}", raw_attrs=['scope="row"'])
        html.Td(
            "{{ cell.text }}",
            v_for="cell in row.cells",
            key="cell.other",
            title=("`${row.name} and ${cell.other}`",),
            style=("`background: ${cell.colour}`",),
        )
