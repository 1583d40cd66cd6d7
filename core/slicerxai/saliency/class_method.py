"""Names of the ways to map what spoke for each class; light, so that parameters can name them without torch."""

from typing import Literal

ClassMethod = Literal[
    "input_x_gradient", "lrp", "integrated_gradients", "grad_cam", "grad_cam_pp", "occlusion", "lime", "kernel_shap"
]
