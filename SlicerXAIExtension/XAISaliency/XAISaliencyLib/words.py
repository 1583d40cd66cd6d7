"""What the panel says: names of methods and the legend. No Qt and no MRML."""

from __future__ import annotations

from slicer.i18n import tr as _

METHOD = "saliency"
"""The server's method that this panel asks for."""
JOB = _("Saliency")
"""What the job tray calls it."""

VARIANTS = {
    "lrp": _("Layer-wise relevance"),
    "input_x_gradient": _("Input × Gradient (fastest)"),
    "integrated_gradients": _("Integrated gradients (slower)"),
    "occlusion": _("Occlusion (slowest)"),
}
VARIANT_HINTS = {
    "lrp": _("Passes the decision back through the network, layer by layer. The usual choice."),
    "input_x_gradient": _("The gradient of the decision times the intensity. Fast and often noisy."),
    "integrated_gradients": _("Averages gradients on the way from a blurred image to this one."),
    "occlusion": _("Hides one box after the other and measures what the decision loses. Takes minutes."),
}


def variant(name: str) -> str:
    """A way to compute saliency, for people; a name that this version does not know is shown as it is."""
    return VARIANTS.get(name, name.replace("_", " "))


def legend(opposed: tuple[str, ...], supporting: tuple[str, ...], lesions: str, explained: str) -> str:
    """Rich text that explains the colours of the views.

    Args:
        opposed, supporting: colours of the map from weak to strong.
        lesions, explained: colours of the outlines.
    """
    cells = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td>' for colour in (*reversed(opposed), *supporting)
    )
    lines = _(
        '<table cellspacing="0" cellpadding="1"><tr><td>against&nbsp;</td>{cells}<td>&nbsp;for a '
        "lesion</td></tr></table>"
    ).format(cells=cells)
    outlines = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{name}&nbsp;&nbsp;</td>'
        for colour, name in ((lesions, _("predicted lesion")), (explained, _("explained lesion")))
    )
    return f'{lines}<table cellspacing="0" cellpadding="1"><tr>{outlines}</tr></table>'
