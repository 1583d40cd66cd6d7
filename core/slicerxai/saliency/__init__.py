"""Maps of what in an image moved one scalar decision of a network, and the checks of each map."""

from slicerxai.lean_monai import import_when_used

import_when_used("zennit.torchvision")  # zennit imports it, and with it torch's compiler, for networks not used here
