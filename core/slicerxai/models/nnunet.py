"""nnU-Net v2 behind the `Segmenter` protocol: loaded once, then every case costs only its own computation."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.damaged import reading
from slicerxai.models.intensity import foreground
from slicerxai.models.protocols import ModelInfo, Prepared, Segmentation
from slicerxai.models.store import digest
from slicerxai.models.working_grid import canonical, check_affine
from slicerxai.progress import Progress, part, silent

AXES_REVERSED = (2, 1, 0)
"""nnU-Net indexes its arrays (k, j, i)."""


@dataclass(frozen=True)
class _Preprocessed:
    """One case as nnU-Net's preprocessor leaves it, with what is needed to go back."""

    prepared: Prepared
    properties: dict[str, Any]


class NnunetSegmenter:
    """A trained nnU-Net v2, kept ready.

    The image is turned to the nearest RAS axes first (nnU-Net itself ignores orientation) and the result turned back.
    Preprocessing, sliding window and the way back are nnU-Net's own (Isensee et al., Nature Methods 18, 2021).

    A 2D network sees one slice at a time: its `patch_size` is (1, J, K) and `network` folds slices into the batch.
    """

    def __init__(
        self, info: ModelInfo, plans: PlansManager, configuration: str, dataset: dict[str, Any], predictor: _Predictor
    ) -> None:
        self.info = info
        self.device = predictor.device
        self._plans = plans
        self._configuration = plans.get_configuration(configuration)
        self._dataset = dataset
        self._predictor = predictor
        self._preprocessor = self._configuration.preprocessor_class(verbose=False)
        patch = tuple(int(edge) for edge in self._configuration.patch_size)
        flat = len(patch) == 2
        self.network: nn.Module = SliceBySlice(predictor.network) if flat else predictor.network
        self.network.eval()
        i, j, k = (1, *patch) if flat else patch
        self.patch_size = (i, j, k)
        self.overlap = 1 - predictor.tile_step_size
        self.threshold = 0.5

    @classmethod
    def load(cls, folder: Path, device: torch.device, *, mirroring: bool = False) -> NnunetSegmenter:
        """Load a model folder that `train_nnunet` filled.

        Args:
            folder: holds model.json, plans.json, dataset.json and weights.pt.
            mirroring: average over mirrored inputs (8 passes in 3D, 4 in 2D), as nnU-Net does by default.

        Raises:
            InputError: its files are missing or do not fit each other, or plans that name a network or layer outside
                the known libraries.
        """
        with reading(folder):
            description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            dataset = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
            plans = PlansManager(json.loads((folder / "plans.json").read_text(encoding="utf-8")))
            info = ModelInfo(
                name=description["name"],
                kind=description["kind"],
                channels=tuple(description["channels"]),
                labels=tuple(description["labels"]),
                digest=digest(folder),
                provenance=description["provenance"],
            )
            network = _network(plans, description["configuration"], len(info.channels), len(info.labels))
            network.load_state_dict(torch.load(folder / "weights.pt", map_location="cpu", weights_only=True))
            predictor = _Predictor.ready(
                network.to(device), plans, description["configuration"], dataset, device, mirroring
            )
            return cls(info, plans, description["configuration"], dataset, predictor)

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        """Images by modality to nnU-Net's grid: tensor CIJK, affine of that very grid.

        Raises:
            InputError: a missing modality, channels on different grids, or an image that is empty or not finite.
        """
        return self._preprocess(images).prepared

    def predict(self, images: Mapping[str, Volume], progress: Progress = silent) -> Segmentation:
        """Segment one case on its own grid. Raises `InputError` as `prepare` does."""
        progress(0.0, "preprocessing")
        case = self._preprocess(images)
        return self._segmented(case, case.prepared.tensor, part(progress, 0.1, 1.0))

    def segmenting(self, images: Mapping[str, Volume]) -> Callable[[Tensor, Progress], Segmentation]:
        """Segments other tensors on the prepared grid of a case, each as `predict` does.

        Args:
            images: the case, by modality; its own grid is where the segmentations lie.

        Raises:
            InputError: as `prepare`.
        """
        case = self._preprocess(images)
        return lambda tensor, progress: self._segmented(case, tensor, progress)

    def _segmented(self, case: _Preprocessed, tensor: Tensor, progress: Progress) -> Segmentation:
        logits = self._predictor.logits(tensor, part(progress, 0.0, 0.9))
        progress(0.9, "returning to the image's grid")
        labels, probabilities = convert_predicted_logits_to_segmentation_with_correct_shape(
            logits.cpu(),
            self._plans,
            self._configuration,
            self._predictor.label_manager,
            case.properties,
            return_probabilities=True,
            num_threads_torch=torch.get_num_threads(),
        )
        reference = case.prepared.reference
        lesion = np.clip(1 - probabilities[0].astype(np.float32), 0, 1)
        segmentation = Segmentation(
            labelmap=_as_stored(labels.astype(np.uint8), reference), probability=_as_stored(lesion, reference)
        )
        progress(1.0, "done")
        return segmentation

    def _preprocess(self, images: Mapping[str, Volume]) -> _Preprocessed:
        reference, *others = channels = self._channels(images)
        turned = [canonical(channel) for channel in channels]
        for name, other in zip(self.info.channels[1:], others, strict=True):
            if other.shape != reference.shape or not np.allclose(other.affine, reference.affine, atol=1e-3):
                msg = f"{name} lies on another grid than {self.info.channels[0]}; resample them to one grid first"
                raise InputError(msg)
        stack = np.stack([volume.array.transpose(AXES_REVERSED) for volume in turned]).astype(np.float32)
        # nnU-Net's readers take the spacing from the header's single-precision numbers
        spacing = [float(np.float32(turned[0].spacing[axis])) for axis in AXES_REVERSED]
        data, _, properties = self._preprocessor.run_case_npy(
            stack, None, {"spacing": spacing}, self._plans, self._configuration, self._dataset
        )
        affine = turned[0].affine @ _grid_to_canonical(self._plans.transpose_forward, properties, data.shape[1:])
        tensor = torch.from_numpy(np.ascontiguousarray(data, dtype=np.float32))
        return _Preprocessed(Prepared(tensor, affine, reference), properties)

    def _channels(self, images: Mapping[str, Volume]) -> list[Volume]:
        missing = [name for name in self.info.channels if name not in images]
        if missing:
            msg = (
                f"model {self.info.name!r} needs {', '.join(missing)}; given: {', '.join(sorted(images)) or 'nothing'}"
            )
            raise InputError(msg)
        for name in self.info.channels:
            check_affine(images[name].affine)
            foreground(images[name].array, name)
        return [images[name] for name in self.info.channels]


class SliceBySlice(nn.Module):
    """A 2D network on volumes: BCIJK to BLIJK, the first spatial axis folded into the batch."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor) -> Tensor:
        batch, _, slices = patch.shape[:3]
        logits: Tensor = self.network(patch.movedim(2, 1).flatten(0, 1))
        return logits.unflatten(0, (batch, slices)).movedim(1, 2)


class _Predictor(nnUNetPredictor):
    """nnU-Net's predictor, reporting each patch."""

    _progress: Progress = staticmethod(silent)
    _patches: int = 0
    _done: int = 0
    _stopped: BaseException | None = None

    @classmethod
    def ready(
        cls,
        network: nn.Module,
        plans: PlansManager,
        configuration: str,
        dataset: dict[str, Any],
        device: torch.device,
        mirroring: bool,
    ) -> _Predictor:
        benchmark = torch.backends.cudnn.benchmark
        with redirect_stdout(io.StringIO()):
            predictor = cls(
                use_mirroring=mirroring,
                perform_everything_on_device=device.type == "cuda",
                device=device,
                allow_tqdm=False,
            )
            flat = len(plans.get_configuration(configuration).patch_size) == 2
            axes = (0, 1) if flat else (0, 1, 2)
            manager = plans.get_configuration(configuration)
            predictor.manual_initialization(network, plans, manager, None, dataset, "", axes)
        torch.backends.cudnn.benchmark = benchmark  # switched on by nnU-Net; it makes results vary between runs
        return predictor

    def logits(self, tensor: Tensor, progress: Progress) -> Tensor:
        """Blended logits LIJK of a preprocessed case CIJK. Raises what `progress` raises."""
        self._progress, self._done, self._stopped = progress, 0, None
        logits: Tensor = self.predict_sliding_window_return_logits(tensor)
        stopped, self._progress = self._stopped, silent
        if stopped is not None:
            raise stopped
        return logits

    def _internal_get_sliding_window_slicers(self, image_size: tuple[int, ...]) -> list[tuple[slice | int, ...]]:
        slicers: list[tuple[slice | int, ...]] = super()._internal_get_sliding_window_slicers(image_size)
        self._patches = len(slicers)
        return slicers

    def _internal_maybe_mirror_and_predict(self, x: Tensor) -> Tensor:
        # raising inside the loop would leave nnU-Net's producer thread waiting for ever, so the rest is skipped instead
        if self._stopped is None:
            try:
                self._progress(self._done / self._patches, f"patch {self._done + 1} of {self._patches}")
            except BaseException as stop:
                self._stopped = stop
        self._done += 1
        if self._stopped is not None:
            return x.new_zeros((x.shape[0], self.label_manager.num_segmentation_heads, *x.shape[2:]))
        logits: Tensor = super()._internal_maybe_mirror_and_predict(x)
        return logits


def _network(plans: PlansManager, configuration: str, channels: int, labels: int) -> nn.Module:
    """The untrained network of the plans: one output, no in-place operations."""
    manager = plans.get_configuration(configuration)
    arguments = manager.network_arch_init_kwargs
    needed = [arguments[key] for key in manager.network_arch_init_kwargs_req_import if arguments[key] is not None]
    homes = {manager.network_arch_class_name: "dynamic_network_architectures.architectures."}
    homes |= dict.fromkeys(needed, "torch.nn.")
    for name, home in homes.items():
        if not name.startswith(home):
            msg = f"the plans name {name!r} as a part of the network; only parts of {home.rstrip('.')} are accepted"
            raise InputError(msg)
    network: nn.Module = get_network_from_plans(
        manager.network_arch_class_name,
        arguments,
        manager.network_arch_init_kwargs_req_import,
        channels,
        labels,
        allow_init=False,
        deep_supervision=False,
    )
    for module in network.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return network


def _grid_to_canonical(
    transpose: list[int], properties: Mapping[str, Any], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Index on the preprocessed grid to index on the canonical image, (4, 4).

    nnU-Net reverses the axes, permutes them by `transpose`, crops to the bounding box and resizes such that the outer
    edges of the crop and of the new grid coincide: old = (new + 1/2) · old size / new size - 1/2.
    """
    first = np.array([low for low, _ in properties["bbox_used_for_cropping"]], dtype=np.float64)
    scale = np.array(properties["shape_after_cropping_and_before_resampling"]) / np.array(shape)
    matrix = np.zeros((4, 4))
    matrix[3, 3] = 1
    for axis, source in enumerate(transpose):
        target = AXES_REVERSED[source]
        matrix[target, axis] = scale[axis]
        matrix[target, 3] = first[axis] + scale[axis] / 2 - 0.5
    return matrix


def _as_stored(array: NDArray[Any], reference: Volume) -> Volume:
    """An array (k, j, i) on the canonical grid back to the axes of the image it came from."""
    there = nib.orientations.io_orientation(reference.affine)
    back = nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), there)
    stored = nib.orientations.apply_orientation(array.transpose(AXES_REVERSED), back)
    return reference.with_array(np.ascontiguousarray(stored))
