"""A MONAI Label app as its own samples are, made of its classes alone: what MONAI Label does without this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from monai.transforms import Activationsd, AsDiscreted, EnsureChannelFirstd, EnsureTyped, LoadImaged, ScaleIntensityd
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.tasks.infer.basic_infer import BasicInferTask
from monailabel.transform.post import Restored


class Segmentation(BasicInferTask):
    """Segments FLAIR with a TorchScript model: `model/NAME.ts`, two channels out."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path=str(path),
            network=None,
            type=InferType.SEGMENTATION,
            labels={"lesion": 1},
            dimension=3,
            description="Segmentation of lesions",
        )

    def pre_transforms(self, data: Any = None) -> Sequence[Any]:
        return [
            LoadImaged(keys="image"),
            EnsureTyped(keys="image"),
            EnsureChannelFirstd(keys="image"),
            ScaleIntensityd(keys="image"),
        ]

    def inferer(self, data: Any = None) -> Inferer:
        return SlidingWindowInferer(roi_size=(32, 32, 32), sw_batch_size=2, overlap=0.25)

    def post_transforms(self, data: Any = None) -> Sequence[Any]:
        return [
            EnsureTyped(keys="pred"),
            Activationsd(keys="pred", softmax=True),
            AsDiscreted(keys="pred", argmax=True),
            Restored(keys="pred", ref_image="image"),
        ]


class StockApp(MONAILabelApp):
    """One infer task for each TorchScript file in the app's folder `model`."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        torch.set_num_threads(1)
        self.models = Path(app_dir) / "model"
        super().__init__(app_dir, studies, conf, name="Stock", description="MONAI Label as shipped")

    def init_infers(self) -> dict[str, InferTask]:
        return {path.stem: Segmentation(path) for path in sorted(self.models.glob("*.ts"))}
