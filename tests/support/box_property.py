"""A property that changes what is inside a mask, so that what a model makes of it is known."""

import numpy as np

from slicerxai.interventions.property_info import PropertyInfo

INFO = PropertyInfo("gain", "Brightness of a box", "%", "", "acquisition", -40.0, 20.0, 0.0)


class InBox:
    """What is inside a mask times 1 + value / 100."""

    def __init__(self, mask, pattern=None, info=INFO):
        self.mask, self.info = mask, info
        self.pattern = 1.0 if pattern is None else pattern

    def unusable(self, scan):
        return None

    def limits(self, scan):
        return -100.0, 100.0

    def neutral(self, scan):
        return 0.0

    def realise(self, scan, value):
        def changed(volume):
            array = np.asarray(volume.array, np.float32)
            factor = np.where(self.mask.array != 0, 1 + value / 100 * self.pattern, 1)
            return volume.with_array((array * factor).astype(np.float32))

        return {name: volume if value == 0 else changed(volume) for name, volume in scan.images.items()}
