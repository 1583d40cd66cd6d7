"""Maps of what in an image moved one scalar decision of a network, and the checks of each map."""
