"""The radiologist's workflow in a browser: a MRML scene with Slicer's own views, without Slicer.

What is done with images and results is the Slicer extension's own code (XAILib, XAIPanels, the logics of its modules);
this package is the page around it.
"""

import sys
from types import ModuleType


def _provide_translations() -> None:
    """Slicer's `slicer.i18n`, which its packages on PyPI lack: texts stay as they are."""
    module = ModuleType("slicer.i18n")
    module.tr = lambda text: text  # type: ignore[attr-defined]
    module.translate = lambda _context, text: text  # type: ignore[attr-defined]
    sys.modules.setdefault("slicer.i18n", module)


_provide_translations()  # before anything of the extension is imported
