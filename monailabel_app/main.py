"""The MONAI Label app; MONAI Label loads the one subclass of its `MONAILabelApp` that it finds in this module.

The code is in the package, since this folder leaves `sys.path` as soon as the module is loaded.
"""

from slicerxai.server.monailabel.app import SlicerXAIApp

__all__ = ["SlicerXAIApp"]
