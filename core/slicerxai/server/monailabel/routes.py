"""Put MONAI Label's routers behind the rules and off the event loop; call before `monailabel.app` is imported."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

import anyio

from slicerxai.server.admission import gates
from slicerxai.server.eventloop import Rule, off_the_loop
from slicerxai.server.monailabel import answers
from slicerxai.server.monailabel import arguments as rules
from slicerxai.settings import settings

RULES: dict[str, dict[str, Rule]] = {
    "activelearning": {"api_sample": rules.sample},
    "batch_infer": {"api_status": rules.free, "api_run": rules.batch, "api_stop": rules.free},
    "datastore": {
        "api_datastore": rules.free,
        "api_add_image": rules.add_image,
        "api_remove_image": rules.known_image("id"),
        "api_check_image": rules.known_image("image"),
        "api_download_image": rules.known_image("image"),
        "api_get_image_info": rules.known_image("image"),
        "api_put_image_info": rules.known_image("image"),
        "api_save_label": rules.save_label,
        "api_remove_label": rules.known_label("id"),
        "api_check_label": rules.known_label("image"),
        "api_download_label": rules.known_label("label"),
        "api_get_label_info": rules.known_label("label"),
        "api_put_label_info": rules.known_label("label"),
        "api_update_label_info": rules.known_label("label"),
        "api_download_dataset": rules.dataset,
    },
    "infer": {"api_run_inference": rules.infer},
    "info": {"api_app_info": rules.free},
    "login": {},  # slicerxai.server.login_routes in its place
    "logs": {"api_get_logs": rules.free, "gpu_info": rules.gpu},
    "model": {
        "api_download_model": rules.model_change,
        "api_model_info": rules.model,
        "api_update_model": rules.model_change,
        "api_delete_model": rules.model_change,
    },
    "ohif": {},  # a viewer for DICOMweb servers; asking it for a folder fails
    "proxy": {},  # lends this server's credentials, for whatever its DICOMweb server answers to
    "scoring": {"api_status": rules.free, "api_run_method": rules.score, "api_stop": rules.free},
    "session": {
        "api_get_session": rules.session,
        "api_create_session": rules.create_session,
        "api_remove_session": rules.session,
    },
    "train": {"api_status": rules.free, "api_run_model": rules.train, "api_stop": rules.free},
    "wsi_infer": {},  # slides of pathology, not volumes
}
"""Rule of each endpoint, by module below `monailabel.endpoints`; what is missing is not served."""

_WHILE_IT_WAITS = {"api_run_inference"}
_COMPUTING = {"api_sample", "api_run", "api_run_method", "api_run_model"}
_READING = {"api_add_image", "api_save_label", "api_create_session", "api_download_dataset"}
READERS = 2
"""Uploads that are read, and archives that are packed, at one time: each may take gigabytes of memory."""


def confine() -> None:
    """Replace the routers that `monailabel.app` will include.

    As many endpoints may wait for a worker as are admitted. What blocks has threads of its own, so that short requests
    always find one.
    """
    answers.install()
    chosen = settings()
    admitted = gates(chosen.queue_limit, chosen.workers)
    threads = _threads(_WHILE_IT_WAITS, admitted["infer"].at_once)
    threads |= _threads(_COMPUTING, admitted["compute"].at_once) | _threads(_READING, READERS)
    for name, table in RULES.items():
        module = import_module(f"monailabel.endpoints.{name}")
        module.router = off_the_loop(module.router, table.get, threads.get, answers.without_paths)  # type: ignore[attr-defined]


def _threads(endpoints: Iterable[str], count: int) -> dict[str, anyio.CapacityLimiter]:
    return dict.fromkeys(endpoints, anyio.CapacityLimiter(count))
