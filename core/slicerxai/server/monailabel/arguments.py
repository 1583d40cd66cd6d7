"""Rules for the arguments of MONAI Label's routes: what is refused before MONAI Label sees it.

Every endpoint has a rule, by module and function name; one without (of a version not known here) is not served.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException, MONAILabelException
from monailabel.interfaces.utils.app import app_instance

from slicerxai.errors import ConflictError, InputError, NotFoundError, UserError
from slicerxai.server.audit import note_study
from slicerxai.server.eventloop import Arguments, Rule
from slicerxai.server.monailabel.app import SlicerXAIApp
from slicerxai.server.monailabel.background import check_room
from slicerxai.server.monailabel.image_files import image_path, inside
from slicerxai.server.monailabel.json_input import json_object
from slicerxai.server.monailabel.models import classifiers, result_suffix
from slicerxai.server.monailabel.quality import required_alarm
from slicerxai.server.monailabel.training import TrainOnLabels
from slicerxai.server.monailabel.uploads import SUFFIXES, check_file_name, check_label, drop_folders, read_upload

_ID = re.compile(r"[^\W_](?:[\w .()+-]{0,126}[\w()+-])?")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHECKSUM = re.compile(r"((SHA256|SHA512|MD5):)?[0-9a-fA-F]{32,128}")

RESERVED_PARAMS = ("image", "images", "model", "session", "label", "file", "paths", "bundle_path")
"""What `params` may not hold: each names a file or module, and belongs to the request's own, checked arguments."""
RESERVED_INFO = ("name", "path", "quality", "review", "strategy", "ts", "uncertainty")
BATCH_PARAMS = (
    *("client_id", "device", "gpus", "label_tag", "labels", "logging", "max_batch_size", "max_workers"),
    *("multi_gpu", "result_extension", "save_label"),
)


def _app() -> SlicerXAIApp:
    app = app_instance()
    if not isinstance(app, SlicerXAIApp):
        msg = f"the app folder must define a SlicerXAIApp, it defines {type(app).__name__}"
        raise TypeError(msg)
    return app


def free(arguments: Arguments) -> None:
    """Nothing to refuse: the arguments are typed and name nothing."""


def infer(arguments: Arguments) -> None:
    """`/infer/{model}`: a stored model, and one of image id or session id."""
    app = _app()
    app.model_task(arguments["model"])
    if arguments["file"] is not None or arguments["label"] is not None:
        msg = (
            "upload the image with PUT /session/ or PUT /datastore/image first, then infer by its id; no label is used"
        )
        raise InputError(msg)
    if str(arguments["output"] or "").endswith("dicom_seg"):
        msg = "output dicom_seg needs a DICOM datastore; accepted here are image, json and all"
        raise InputError(msg)
    params = json_object(arguments["params"], "params")
    _refuse_keys(params, RESERVED_PARAMS, "params")
    _check_infer_params(params)
    if arguments["session_id"]:
        _known_session(arguments["session_id"])
    elif arguments["image"]:
        image_path(app.datastore(), arguments["image"])
    else:
        msg = "name the image: image=ID of the datastore, or session_id=ID of an uploaded session"
        raise InputError(msg)


def batch(arguments: Arguments) -> None:
    """`/batch/infer/{model}`."""
    _app().model_task(arguments["model"])
    params = _known_keys(arguments["params"], BATCH_PARAMS)
    _check_infer_params(params)
    for key in ("max_batch_size", "max_workers"):
        value = params.get(key, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10_000:
            msg = f"bad {key} {value!r}; a whole number from 0 to 10000 is accepted"
            raise InputError(msg)
    _check_texts(params, ("client_id", "device", "gpus", "logging"))
    check_room("batch_infer")


def train(arguments: Arguments) -> None:
    """`/train/{model}`: a kind of model, its parameters, and labels or reviews to learn from."""
    app = _app()
    task = app._trainers.get(arguments["model"])
    if not isinstance(task, TrainOnLabels):
        msg = f"no train task {arguments['model']!r}; known: {', '.join(app._trainers)}"
        raise NotFoundError(msg)
    if arguments["run_sync"]:
        msg = "run_sync=true is not offered: training runs in a process of its own; GET /train/ shows its progress"
        raise InputError(msg)
    params = arguments["params"] or {}
    _refuse_keys(params, (*RESERVED_PARAMS, "local_rank"), "params")
    _check_texts(params, ("gpus", "device", "client_id"))
    _, _, parameters = task.parse(params)
    task.cases(app.datastore(), parameters)
    check_room("train", enqueue=bool(arguments["enqueue"]))


def score(arguments: Arguments) -> None:
    """`/scoring/{method}`."""
    methods = _app()._scoring_methods
    if arguments["method"] not in methods:
        msg = f"no scoring method {arguments['method']!r}; known: {', '.join(methods)}"
        raise NotFoundError(msg)
    if arguments["method"] == "quality":
        _score_quality(arguments)
    else:
        _score_agreement(arguments)
    check_room("scoring")


def _score_agreement(arguments: Arguments) -> None:
    """Two tags of labels to compare."""
    params = _known_keys(arguments["params"], ("y", "y_pred", "gpus", "client_id"))
    for key in ("y", "y_pred"):
        if key in params:
            _check_tag(params[key])
    _check_texts(params, ("gpus", "client_id"))


def _score_quality(arguments: Arguments) -> None:
    """A stored model with an alarm; the only one is named for the task, so that the worklist knows whose it is."""
    params = dict(_known_keys(arguments["params"], ("model", "gpus", "client_id")))
    _check_texts(params, ("model", "gpus", "client_id"))
    if arguments["run_sync"]:
        msg = "run_sync=true is not offered: scoring runs in a process of its own; GET /explain/worklist shows it"
        raise InputError(msg)
    worklists = _app().worklists()
    model = worklists.model(params.get("model"))
    required_alarm(worklists, model)
    arguments["params"] = params | {"model": model.name}


def sample(arguments: Arguments) -> None:
    """`/activelearning/{strategy}`."""
    app = _app()
    if arguments["strategy"] not in app._strategies:
        msg = f"no strategy {arguments['strategy']!r}; known: {', '.join(app._strategies)}"
        raise NotFoundError(msg)
    params = _known_keys(arguments["params"], ("model", "client_id", "label_tag", "labels"))
    _check_texts(params, ("client_id",))
    if "model" not in params:
        return
    if arguments["strategy"] == "suspicion":
        _check_texts(params, ("model",))
        app.worklists().model(params["model"])
    elif params["model"] not in classifiers(app.store):  # of which the strategy says what to do with them
        app.model_task(params["model"])


def add_image(arguments: Arguments) -> None:
    """`PUT /datastore/image`: a readable 3D volume under a plain new id, or one without labels."""
    _info(arguments["params"], "params")
    suffix = check_file_name(arguments["file"].filename)
    image = arguments["image"] if arguments["image"] is not None else arguments["file"].filename[: -len(suffix)]
    note_study(image)
    if not _ID.fullmatch(image) or image.lower().endswith(SUFFIXES):
        msg = f"bad image id {image!r}; letters, digits, spaces and ._()+- are accepted, at most 128, no file suffix"
        raise InputError(msg)
    datastore = _app().datastore()
    if datastore.get_labels_by_image_id(image):
        msg = f"image {image!r} has labels and is not replaced; choose another id or delete it first"
        raise ConflictError(msg)
    if image in datastore.list_images():
        image_path(datastore, image)
    read_upload(arguments["file"])
    arguments["image"] = image


def save_label(arguments: Arguments) -> None:
    """`PUT /datastore/label`: a labelmap on the grid of a known image, under a plain tag."""
    _info(arguments["params"], "params")
    tag, datastore, image = _check_tag(arguments["tag"]), _app().datastore(), arguments["image"]
    path = image_path(datastore, image)
    _label_folder(datastore, tag)
    if tag in datastore.get_labels_by_image_id(image):
        _label(datastore, image, tag)
    drop_folders(arguments["label"])
    check_label(arguments["label"], path)


def known_image(name: str) -> Rule:
    """The argument of this name is an image of the datastore."""

    def rule(arguments: Arguments) -> None:
        image_path(_app().datastore(), arguments[name])
        checksum = arguments.get("check_sum")
        if checksum is not None and not _CHECKSUM.fullmatch(checksum):
            msg = f"bad check_sum {checksum!r}; SHA256:HEX, SHA512:HEX and MD5:HEX are accepted"
            raise InputError(msg)
        if "info" in arguments:
            _info(arguments["info"], "info")

    return rule


def known_label(name: str) -> Rule:
    """The argument of this name and the tag are a label of the datastore."""

    def rule(arguments: Arguments) -> None:
        datastore = _app().datastore()
        image, tag = arguments[name], _check_tag(arguments["tag"])
        image_path(datastore, image)
        tags = datastore.get_labels_by_image_id(image)
        if tag not in tags:
            msg = f"image {image!r} has no label {tag!r}; it has {', '.join(sorted(tags)) or 'none'}"
            raise NotFoundError(msg)
        _label(datastore, image, tag)
        for key in ("info", "params"):
            if key in arguments:
                _info(arguments[key], key)

    return rule


def dataset(arguments: Arguments) -> None:
    """`GET /datastore/dataset`."""
    limit = arguments["limit_cases"]
    if limit is not None and limit < 1:
        msg = f"bad limit_cases {limit}; a number from 1 is accepted"
        raise InputError(msg)
    datastore = _app().datastore()
    images = datastore.get_labeled_images()
    if not images:
        msg = "no image has a submitted label yet, so there is no dataset to download"
        raise NotFoundError(msg)
    for image in images:
        image_path(datastore, image)
        _label(datastore, image, DefaultLabelTag.FINAL.value)


def create_session(arguments: Arguments) -> None:
    """`PUT /session/`: one readable 3D volume, or one for each modality and named after it."""
    if arguments["uncompress"]:
        msg = "uncompress=true is not offered: archives are not unpacked here; upload one " + ", ".join(SUFFIXES)
        raise InputError(msg)
    files = arguments["files"]
    names = [check_file_name(file.filename) and str(file.filename) for file in files]
    if len(set(names)) < len(names):
        msg = f"two files of one name: {', '.join(names)}; name each after its modality"
        raise InputError(msg)
    for file in files:
        read_upload(file)


def session(arguments: Arguments) -> None:
    """A route of an existing session."""
    image = _known_session(arguments["session_id"])
    if arguments.get("image") and image.is_dir():
        msg = "this session holds several files; only a session of one file can be downloaded"
        raise InputError(msg)


def model(arguments: Arguments) -> None:
    """A route that reads a stored model."""
    _app().model_task(arguments["model"])


def model_change(arguments: Arguments) -> None:
    """Uploading or deleting models: loading a model file runs what is in it, so files come from this machine only."""
    msg = "models are not uploaded or deleted over HTTP; use `slicerxai train` on the server's machine"
    raise ConflictError(msg)


def gpu(arguments: Arguments) -> None:
    """`/logs/gpu` runs nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        msg = "this machine has no nvidia-smi, so there is no GPU to show"
        raise NotFoundError(msg)


def from_monailabel(error: MONAILabelException) -> UserError | None:
    """MONAI Label's complaint as a user's error, when it is one."""
    if isinstance(error, ImageNotFoundException | LabelNotFoundException):
        return NotFoundError(error.msg)
    return None


def _check_tag(tag: object) -> str:
    if not isinstance(tag, str) or not _TAG.fullmatch(tag):
        msg = f"bad label tag {tag!r}; letters, digits, '-' and '_' are accepted, at most 64"
        raise InputError(msg)
    return tag


def _label(datastore: Datastore, image: str, tag: str) -> None:
    """Refuses a label that is a link out of the studies."""
    inside(datastore, Path(datastore.get_label_uri(image, tag)), f"label {tag!r} of image {image!r}")


def _label_folder(datastore: Datastore, tag: str) -> None:
    """Refuses a tag whose folder is a link out of the studies."""
    if isinstance(datastore, LocalDatastore):
        inside(datastore, Path(datastore._datastore.label_path(tag)), f"the folder of labels {tag!r}")


def _check_infer_params(params: Mapping[str, Any]) -> None:
    if "label_tag" in params:
        _check_tag(params["label_tag"])
    result_suffix(params.get("result_extension"))


def _check_texts(params: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Refuses what is no text; MONAI Label's client that was made without an id says so by a client_id of null."""
    for key in keys:
        unnamed = key == "client_id" and params.get(key) is None
        if not unnamed and not isinstance(params.get(key, ""), str):
            msg = f"bad {key} {params[key]!r}; text is accepted"
            raise InputError(msg)


def _known_session(session_id: str) -> Path:
    """The file or folder of a session."""
    sessions = _app().sessions()
    known = sessions.get_session(session_id) if sessions is not None and _SESSION.fullmatch(session_id) else None
    if known is None:
        msg = f"no session {session_id[:64]!r}, or it has expired; upload the image with PUT /session/"
        raise NotFoundError(msg)
    return Path(known.image)


def _info(text: str | None, what: str) -> None:
    _refuse_keys(json_object(text, what), RESERVED_INFO, what)


def _refuse_keys(values: Mapping[str, Any], reserved: tuple[str, ...], what: str) -> None:
    bad = [key for key in reserved if key in values]
    if bad:
        msg = f"{what} must not hold {', '.join(bad)}; it is set by the request itself or by the server"
        raise InputError(msg)


def _known_keys(params: Mapping[str, Any] | None, accepted: tuple[str, ...]) -> Mapping[str, Any]:
    params = params or {}
    unknown = [str(key)[:40] for key in params if key not in accepted]
    if unknown:
        msg = f"unknown parameters {', '.join(unknown)}; accepted: {', '.join(accepted)}"
        raise InputError(msg)
    return params
