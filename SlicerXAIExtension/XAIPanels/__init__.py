"""What the Slicer modules share beside XAILib: the parts that need Slicer or Qt."""

from slicer.i18n import translate
from XAILib import i18n

i18n.use(translate)
