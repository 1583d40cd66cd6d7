"""A tiny untrained classifier in a model store, and an alarm for it."""

import json
from typing import Any

import numpy as np
import torch

from slicerxai.models.classifier import WEIGHTS
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierConfig
from slicerxai.models.store import ModelStore, digest
from slicerxai.monitoring.alarm_fit import fit_alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.monitoring.distinctiveness import distinctiveness
from slicerxai.monitoring.readings import Readings

TARGETS = ("left=left_ml>0", "right=right_ml>0", "middle=middle_ml>0")
LABELS = ("left", "right", "middle")


def store_classifier(store: ModelStore, name: str, seed: int = 0, provenance: dict[str, Any] | None = None) -> str:
    """Write an untrained network of a few thousand weights; returns its digest."""
    config = ClassifierConfig(
        targets=TARGETS, architecture="regional", shape=(16, 16, 16), spacing=5.0, features=4, cells=2, surroundings=0
    )
    torch.manual_seed(seed)
    network = build_network(config, 1, len(LABELS))
    description: dict[str, Any] = {"name": name, "kind": "classifier", "channels": ["FLAIR"], "labels": list(LABELS)}
    description |= {"config": config.model_dump(mode="json"), "thresholds": [0.5] * len(LABELS)}
    with store.create(name) as folder:
        torch.save(network.state_dict(), folder / WEIGHTS)
        (folder / "model.json").write_text(json.dumps(description | {"provenance": provenance or {}}))
    return digest(store.folder(name))


def readings(count: int, seed: int = 0) -> tuple[Readings, np.ndarray]:
    """Made-up readings in which small distances go with wrong predictions, and the truth."""
    rng = np.random.default_rng(seed)
    wrong = rng.random((count, len(LABELS))) < 0.3
    probabilities = rng.uniform(0, 1, wrong.shape)
    distances = np.zeros((count, len(LABELS), len(LABELS)))
    for i in range(len(LABELS)):
        for j in range(i):
            either = wrong[:, i] | wrong[:, j]
            distances[:, i, j] = distances[:, j, i] = np.where(either, 0.1, 0.8) + rng.uniform(0, 0.2, count)
    thresholds = np.full(len(LABELS), 0.5)
    made = Readings("distinctiveness", "lrp", probabilities, thresholds, distinctiveness(distances), distances)
    return made, made.predicted ^ wrong


def store_alarm(alarms: AlarmStore, model: str, model_digest: str, seed: int = 0, **parameters: Any) -> str:
    """Fit an alarm on made-up readings and keep it; returns its id."""
    made, truth = readings(40, seed)
    cases = [f"case{number}" for number in range(40)]
    alarm = fit_alarm(made, truth, LABELS, model_digest, AlarmParameters(**parameters), cases=cases)
    return alarms.save(model, alarm)
