"""Put MONAI Label's routers behind the rules and off the event loop; call before `monailabel.app` is imported."""

from __future__ import annotations

from importlib import import_module

from slicerxai.server.eventloop import Rule, off_the_loop
from slicerxai.server.monailabel import arguments as rules

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
    "login": {"auth_enabled": rules.free, "access_token": rules.free, "valid_token": rules.free},
    "logs": {"api_get_logs": rules.free, "gpu_info": rules.gpu},
    "model": {
        "api_download_model": rules.model_change,
        "api_model_info": rules.model,
        "api_update_model": rules.model_change,
        "api_delete_model": rules.model_change,
    },
    "ohif": {},  # a viewer for DICOMweb servers; asking it for a folder fails
    "proxy": dict.fromkeys(("proxy_wado", "proxy_qido", "proxy_stow", "proxy"), rules.dicom_proxy),
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

LONG = {"activelearning", "batch_infer", "infer", "scoring", "train"}
"""Modules whose endpoints compute."""


def confine() -> None:
    """Replace the routers that `monailabel.app` will include."""
    for name, table in RULES.items():
        module = import_module(f"monailabel.endpoints.{name}")
        module.router = off_the_loop(module.router, table.get, long=name in LONG)  # type: ignore[attr-defined]
