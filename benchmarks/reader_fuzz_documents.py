"""JSON and bodies that are fuzzed: sound examples, how they are damaged, and who reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.reader_fuzz_inputs import damaged_bytes, damaged_json
from benchmarks.reader_fuzz_judge import Kind, Sample
from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Check, Explanation, Figure, Flag, Overlay, Provenance, Table
from slicerxai.explain.folder import PNG_SIGNATURE, save

BOUNDARY = "multipart/form-data; boundary=fuzz"


def document_kinds() -> dict[str, Kind]:
    """Documents that programs send, or that lie in the home."""
    return {
        "result folders": Kind(6_000, _result_samples, _read_result, ""),
        "multipart bodies": Kind(5_000, _multipart_samples, _read_multipart, ""),
        "params texts": Kind(5_000, lambda: _json("params.json", PARAMS), _read_params, "params"),
        "model.json": Kind(5_000, _model_samples, _read_models, ""),
        "alarms": Kind(4_000, _alarm_samples, _read_alarm, ""),
        "worklist records": Kind(3_000, _record_samples, _read_record, ""),
    }


PARAMS = {"model": "tiny", "device": "cpu", "result_dtype": "uint8", "labels": ["a"], "nested": {"a": [1, 2.5, None]}}


def _json(name: str, document: Any) -> Callable[[Random], Sample]:
    return lambda random: {name: damaged_json(random, [document])}


def _explanation() -> Explanation:
    volume = Volume(np.arange(60, dtype=np.float32).reshape(3, 4, 5), np.eye(4))
    return Explanation(
        method="saliency",
        parameters={"seed": 1, "scale": float("nan"), "steps": [1, 2]},
        image_id="case1",
        overlays={"map": Overlay(volume=volume, kind="saliency", units="1", description="a map")},
        tables={"lesions": Table(title="t", columns=["a", "b"], rows=[[1, "x"], [2.5, None]])},
        figures={"plot": Figure(png=PNG_SIGNATURE + b"rest", caption="a plot")},
        flags=[Flag(subject="lesion 1", message="little was found")],
        metrics={"volume": 1.5, "nothing": float("nan")},
        checks=[Check(name="sum", verdict="reliable", value=0.1, limit=0.2, reason="sums up")],
        provenance=Provenance(
            package_version="1", model="tiny", model_digest="0" * 64, inputs={"case1/FLAIR": "1" * 64},
            versions={"torch": "2"}, device="cpu", threads=1, started="2026-01-01T00:00:00+00:00", seconds=1.5,
        ),
    )  # fmt: skip


def _saved() -> dict[str, bytes]:
    """The files of an explanation's folder."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "saved"
        save(_explanation(), folder)
        return {
            str(p.relative_to(folder)): p.read_bytes()
            for p in folder.rglob("*")
            if p.suffix in {".json", ".nrrd", ".png"}
        }


def _result_samples() -> Callable[[Random], Sample]:
    """The document damaged, or its overlay with the digest that belongs to it."""
    files = _saved()
    document = json.loads(files["explanation.json"])

    def sample(random: Random) -> Sample:
        if random.random() < 0.7:
            return files | {"explanation.json": damaged_json(random, [document])}
        data = damaged_bytes(random, [files["overlays/map.nrrd"]])
        changed = json.loads(json.dumps(document))
        changed["overlays"]["map"]["sha256"] = hashlib.sha256(data).hexdigest()
        return files | {"overlays/map.nrrd": data, "explanation.json": json.dumps(changed).encode()}

    return sample


def _read_result(folder: Path) -> object:
    from slicerxai.explain.folder import load

    return load(folder)


def _multipart_samples() -> Callable[[Random], Sample]:
    from slicerxai.explain.multipart import encode

    body, content_type = encode(_explanation())
    body = body.replace(content_type.partition("=")[2].encode(), b"fuzz")
    tokens = (b"\r\n--fuzz\r\n", b"--fuzz--", b'Content-Disposition: form-data; name="../x"\r\n', b"\r\n\r\n", b"\xff")
    types = (BOUNDARY,) * 6 + ("", "multipart/form-data", "text/plain; boundary=fuzz", BOUNDARY * 9)
    return lambda random: {"body": damaged_bytes(random, [body], tokens), "type": random.choice(types).encode()}


def _read_multipart(folder: Path) -> object:
    from slicerxai.explain.multipart import decode

    return decode((folder / "body").read_bytes(), (folder / "type").read_text())


def _read_params(folder: Path) -> object:
    from slicerxai.server.monailabel.json_input import json_object

    return json_object((folder / "params.json").read_text("utf-8", "replace"), "params")


def _model_samples() -> Callable[[Random], Sample]:
    """Model folders whose description was damaged, or whose weights were."""
    made = _models()

    def sample(random: Random) -> Sample:
        files = random.choice(made)
        weights = next(name for name in files if name.endswith(".pt"))
        if random.random() < 0.7:
            changed = {"model.json": damaged_json(random, [json.loads(files["model.json"])])}
        else:
            changed = {weights: damaged_bytes(random, [files[weights]])}
        return {f"tiny/{name}": content for name, content in (files | changed).items()}

    return sample


def _models() -> list[dict[str, bytes]]:
    """The files of a classifier, of a segmenter, and of one that says that it is nnU-Net's."""
    import torch

    import slicerxai.models.nnunet  # noqa: F401  (takes long, and starts processes that ask for the machine)
    from slicerxai.models.fast import WEIGHTS, FastConfig
    from slicerxai.models.store import ModelStore
    from slicerxai.models.unet import FastUNet
    from tests.support.classifier import store_classifier

    described: dict[str, Any] = {"name": "fast", "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "l"]}
    with TemporaryDirectory() as temporary:
        store = ModelStore(Path(temporary))
        store_classifier(store, "regions")
        config = FastConfig(spacing=3.0, patch_size=(16, 16, 16), features=(2, 4))
        with store.create("fast") as folder:
            torch.save(FastUNet(1, 2, config.features).state_dict(), folder / WEIGHTS)
            described |= {"config": config.model_dump(mode="json"), "provenance": {}}
            (folder / "model.json").write_text(json.dumps(described))
        made = [{path.name: path.read_bytes() for path in store.folder(name).iterdir()} for name in store.names()]
    described |= {"kind": "nnunet", "configuration": "3d_fullres"}
    made.append(made[0] | {"model.json": json.dumps(described).encode(), "dataset.json": b"{}", "plans.json": b"{}"})
    return made


def _read_models(folder: Path) -> object:
    import torch

    from slicerxai.models.store import ModelStore
    from slicerxai.server.explain_routes import _models

    store = ModelStore(folder)
    _models(store)
    return store.load("tiny", torch.device("cpu"))


def _alarm_samples() -> Callable[[Random], Sample]:
    from slicerxai.monitoring.alarm_store import AlarmStore
    from tests.support.classifier import store_alarm

    with TemporaryDirectory() as temporary:
        identifier = store_alarm(AlarmStore(Path(temporary)), "regions", "0" * 64)
        content = json.loads((Path(temporary) / ("0" * 64) / f"{identifier}.json").read_bytes())
    return _json("0" * 64 + "/" + "a" * 12 + ".json", content)


def _read_alarm(folder: Path) -> object:
    from slicerxai.monitoring.alarm_store import AlarmStore

    return AlarmStore(folder).newest("0" * 64)


def _record_samples() -> Callable[[Random], Sample]:
    name = hashlib.sha256(b"one").hexdigest()
    stamp = {"size": 3, "mtime_ns": 1, "sha256": "0" * 64}
    record = {
        "image": "one", "files": {"FLAIR": stamp}, "alarm": "a" * 12, "suspicion": 0.5, "error": None,
        "classes": [], "lesions": None, "time": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return _json("0" * 64 + f"/quality/{name}.json", record)


def _read_record(folder: Path) -> object:
    import logging

    from slicerxai.server.worklist_store import WorklistStore

    logging.disable()
    return WorklistStore(folder).record("0" * 64, "one")
