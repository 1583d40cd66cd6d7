"""Opens every module in a language that does not exist and prints, as JSON, all that their widgets say.

In a process of its own: texts of modules are translated when they are imported.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BEGIN, END = "⟦", "⟧"


def main() -> None:
    """Print [module, widget, kind, text] for each text."""
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    import slicer_double

    slicer_double.install()
    from PySide6 import QtCore, QtWidgets

    class Pseudo(QtCore.QTranslator):
        """Puts each text between brackets."""

        def translate(self, context: str, text: str, disambiguation: str = "", n: int = -1) -> str:
            return f"{BEGIN}{text}{END}" if text.strip() else text

        def isEmpty(self) -> bool:
            return False

    pseudo = Pseudo()
    QtCore.QCoreApplication.installTranslator(pseudo)
    slicer_double.start_application()
    from panel_widgets import module_files, opened, texts_of

    found = []
    for path in module_files():
        with opened(path) as (module, root):
            found += [[path.stem, "module", name, getattr(module.parent, name)] for name in ("title", "helpText")]
            for part in root.findChildren(QtWidgets.QWidget):
                found += [[path.stem, part.objectName, kind, text] for kind, text in texts_of(part)]
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
