"""What each method is expected to cost, in counts: the one place to change when a method really needs something else.

A count that grows says that work came in that was not there before; one that falls, that this table can be tightened.
"""

from __future__ import annotations

from typing import NamedTuple

PATCHES = 95
"""Patches of the image on which something is segmented."""
WINDOWS = 25
"""Patches that see a lesion: only they are explained."""
LABELS, IMAGES, STEPS = 3, 2, 4
"""Labels of the classifier, images given to it at once, steps of a method that takes several."""
GRADIENT_CHECK = 2 * 2 * 2
"""Two directions forth and back in each of the two heaviest windows."""
REPEATED = 2
"""The heaviest windows are computed once more, to see that the network repeats itself."""


class Passes(NamedTuple):
    """Patches or images through the network and back; each one counts, alone or in a batch."""

    forward: int
    backward: int
    why: str


CASES = {
    "prediction": Passes(PATCHES, 0, "each patch once; no gradient"),
    "saliency lrp": Passes(
        PATCHES + WINDOWS + REPEATED + 2 + GRADIENT_CHECK,
        WINDOWS + 2,
        "predicted once, one pass and one way back for each window; the check needs two gradients of its own",
    ),
    "saliency input_x_gradient": Passes(
        PATCHES + WINDOWS + 1 + REPEATED + GRADIENT_CHECK,
        WINDOWS,
        "as LRP, but its own gradients are checked; an empty window, for what the map is compared with",
    ),
    "saliency integrated_gradients": Passes(
        PATCHES + WINDOWS * (1 + STEPS + 1) + REPEATED + 2 + GRADIENT_CHECK,
        WINDOWS * STEPS + 2,
        "of each window the decision, the path's steps, and the baseline",
    ),
}
"""Explanations of a segmenter on one case."""

CLASS_MAPS = {
    "lrp": Passes(IMAGES, IMAGES * LABELS, "one pass forward for all labels, one way back for each"),
    "input_x_gradient": Passes(IMAGES, IMAGES * LABELS, "the same"),
    "grad_cam": Passes(IMAGES, IMAGES * LABELS, "the same"),
    "grad_cam_pp": Passes(IMAGES, IMAGES * LABELS, "the same"),
    "integrated_gradients": Passes(
        IMAGES * (STEPS + 2), IMAGES * STEPS * LABELS, "labels share the steps' passes; image and baseline for the sum"
    ),
}
"""Maps of all labels of a classifier."""

READINGS = {
    "distinctiveness": Passes(IMAGES, IMAGES * LABELS, "the maps' own pass gives the prediction too"),
    "entropy": Passes(IMAGES, 0, "the prediction itself"),
    "tta": Passes(IMAGES * (1 + 10), 0, "the prediction and ten changed copies"),
}
"""How much each prediction of a classifier is to be doubted."""

PROPERTY_STEPS, CONTROLS = 7, 3
PROPERTY = Passes(
    1 + PROPERTY_STEPS + CONTROLS * (PROPERTY_STEPS - 1),
    0,
    "the model's own prediction; each step once, the unchanged image being one of them; controls but for that step",
)

SOLVER_STEPS = 12
SOLVER = Passes(SOLVER_STEPS + 1, SOLVER_STEPS + 1, "one gradient at the original image, one for each step")
"""Of a counterfactual's search."""


class Volumes(NamedTuple):
    """In volumes of one float32 for each voxel of the image.

    Attributes:
        held: most that NumPy holds at once, above what there was before.
        made: tensors of a whole volume that torch's operations return, each in memory of its own.
    """

    held: float
    made: int
    why: str


HELD_WITHIN = 0.25
"""Smaller than a volume of 32 bits on the network's grid, larger than what is no volume."""

VOLUMES = {
    "read .nii": Volumes(0.5, 0, "the voxels, of 16 bits"),
    "read .nii.gz": Volumes(1.2, 0, "what is unpacked, beside the voxels"),
    "write .nrrd": Volumes(1.1, 0, "the voxels in the file's order, and packed"),
    "prepare": Volumes(4.45, 0, "image and head in 32 bits, on their own grid and on the network's"),
    "logits": Volumes(0.0, 4, "the sum for both labels, the sum of weights, where there are any and where none"),
    "predict": Volumes(
        4.45, 7, "prepared; then as logits, and their softmax, one label of it, and where there is none"
    ),
    "lesions": Volumes(3.25, 0, "numbers of 32 bits, which are counted in 64"),
    "target": Volumes(0.0, 1, "the weights of the whole image, into which all windows look"),
    "density": Volumes(2.25, 1, "the map by volume, then on the image's grid"),
    "shares": Volumes(0.55, 0, "flags; the positive part of single planes, distances in small boxes"),
    "saliency": Volumes(6.4, 16, "prepared, predicted, prepared again and explained; no volume for each window"),
    "save": Volumes(1.55, 0, "one overlay at a time: in the file's order, and packed"),
    "load": Volumes(3.8, 0, "all overlays, and one of them packed and unpacked"),
    "scenes": Volumes(2.75, 0, "image and map in 32 bits, and the copy of which percentiles are taken"),
}
"""Of an image of 96³ in 16 bits, with a network that costs nothing."""

HEAVY = frozenset(
    [
        "torch",
        "monai",
        "monailabel",
        "numpy",
        "scipy",
        "pandas",
        "matplotlib",
        "skimage",
        "sklearn",
        "nibabel",
        "SimpleITK",
        "captum",
        "zennit",
        "nnunetv2",
        "diffusers",
        "torchvision",
        "torchopt",
        "highdicom",
        "pydicom",
        "nilearn",
        "fastapi",
        "uvicorn",
        "requests",
        "PIL",
        "mlflow",
        "vtk",
        "slicer",
    ]
)
"""Packages that take long to import."""


class Start(NamedTuple):
    """What a start may import.

    Attributes:
        program: Python that starts it.
        heavy: of `HEAVY`, at most.
        modules: at most, of whatever package.
    """

    program: str
    heavy: frozenset[str]
    modules: int
    why: str


HELP = "from slicerxai.cli.main import run; run({})"
SERVER = frozenset(
    ["torch", "monai", "monailabel", "numpy", "scipy", "nibabel", "SimpleITK", "pydicom", "fastapi", "requests", "PIL"]
)
STARTS = {
    "slicerxai --help": Start(HELP.format(["--help"]), frozenset(), 140, "it names its commands and imports none"),
    "serve --help": Start(HELP.format(["serve", "--help"]), frozenset(), 140, "the server is imported when it starts"),
    "infer --help": Start(HELP.format(["infer", "--help"]), frozenset(), 420, "its options and the settings"),
    "explain --help": Start(
        HELP.format(["explain", "--help"]), frozenset(["numpy"]), 560, "the parameters of every method, and their types"
    ),
    "server": Start(
        "import slicerxai.server.app",
        SERVER,
        3700,
        "MONAI Label's app brings its own; networks, methods and reports are imported by the workers",
    ),
}
