"""What the panel says: names of methods and the legend. No Qt and no MRML."""

from __future__ import annotations

METHOD = "saliency"
"""The server's method that this panel asks for."""

VARIANTS = {
    "lrp": "Layer-wise relevance",
    "input_x_gradient": "Input × Gradient (fastest)",
    "integrated_gradients": "Integrated gradients (slower)",
    "occlusion": "Occlusion (slowest)",
}
VARIANT_HINTS = {
    "lrp": "Passes the decision back through the network, layer by layer. The usual choice.",
    "input_x_gradient": "The gradient of the decision times the intensity. Fast and often noisy.",
    "integrated_gradients": "Averages gradients on the way from a blurred image to this one.",
    "occlusion": "Hides one box after the other and measures what the decision loses. Takes minutes.",
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
    lines = (
        f'<table cellspacing="0" cellpadding="1"><tr><td>against&nbsp;</td>{cells}'
        "<td>&nbsp;for a lesion</td></tr></table>"
    )
    outlines = "".join(
        f'<td bgcolor="{colour}">&nbsp;&nbsp;&nbsp;&nbsp;</td><td>&nbsp;{name}&nbsp;&nbsp;</td>'
        for colour, name in ((lesions, "predicted lesion"), (explained, "explained lesion"))
    )
    return f'{lines}<table cellspacing="0" cellpadding="1"><tr>{outlines}</tr></table>'
