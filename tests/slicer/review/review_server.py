"""A real server with small images, an untrained classifier with an alarm, and a segmenter."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Classifier, Segmenter
from slicerxai.models.store import ModelStore
from slicerxai.monitoring.alarm_fit import fit_alarm
from slicerxai.monitoring.alarm_parameters import AlarmParameters
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.monitoring.case_reading import read_prepared
from slicerxai.monitoring.distinctiveness import distinctiveness
from slicerxai.monitoring.lesion_alarm_fit import fit_lesion_alarm
from slicerxai.monitoring.lesion_alarm_parameters import LesionAlarmParameters
from slicerxai.monitoring.lesion_quality import lesion_readings
from slicerxai.monitoring.readings import Readings
from tests.conftest import spotted_brain
from tests.support.classifier import LABELS, store_classifier
from tests.support.server import FRUGAL, Server

CLASSIFIER, SEGMENTER, WITHOUT_ALARM = "regions", "tiny", "untried"
IMAGES = ("p01", "p02", "p03", "p04")
COPIES = 10


@contextmanager
def running_review_server(root: Path, tiny_home: Path) -> Iterator[Server]:
    """The server; scores, decisions, jobs and results are its own."""
    home = root / "home"
    shutil.copytree(tiny_home / "models", home / "models")
    models = ModelStore(home / "models")
    store_classifier(models, CLASSIFIER)
    store_classifier(models, WITHOUT_ALARM, seed=1)
    brains = [spotted_brain(seed=20 + number)[0] for number in range(len(IMAGES))]
    store_alarm_of(home, CLASSIFIER, brains)
    store_lesion_alarm(home, SEGMENTER, brains)
    running = Server(root, home, **FRUGAL)
    for name, brain in zip(IMAGES, brains, strict=True):
        write_volume(running.studies / f"{name}.nii.gz", brain)
    with running:
        yield running


def store_alarm_of(home: Path, name: str, brains: Sequence[Volume]) -> str:
    """Fit an alarm on copies of these images, as if the classifier were wrong where its maps are alike; its id."""
    model = ModelStore(home / "models").load(name, torch.device("cpu"))
    assert isinstance(model, Classifier)
    parameters = AlarmParameters(action="review", budget=0.4, folds=2, pooling="sum", margin=False)
    read = [read_prepared(model, model.prepare({"FLAIR": brain}), parameters) for brain in brains]
    distances = np.concatenate([np.asarray(one.distances) for one in read]).repeat(COPIES, axis=0)
    probabilities = np.concatenate([one.probabilities for one in read]).repeat(COPIES, axis=0)
    measure = distinctiveness(distances)
    readings = Readings("distinctiveness", "lrp", probabilities, read[0].thresholds, measure, distances)
    wrong = (measure < np.median(measure, axis=0)) ^ (np.random.default_rng(0).random(measure.shape) < 0.15)
    cases = [f"case{number}" for number in range(len(measure))]
    truth = readings.predicted ^ wrong
    alarm = fit_alarm(readings, truth, LABELS, model.info.digest, parameters, cases=cases)
    return AlarmStore(home / "alarms").save(name, alarm)


def store_lesion_alarm(home: Path, name: str, brains: Sequence[Volume]) -> str:
    """Fit an alarm on these images as if the smaller lesions were false; its id."""
    model = ModelStore(home / "models").load(name, torch.device("cpu"))
    assert isinstance(model, Segmenter)
    read = [lesion_readings(model, images, model.predict(images)) for images in ({"FLAIR": brain} for brain in brains)]
    volumes = [np.array([lesion.volume_ml for lesion in one.lesions]) for one in read]
    small = float(np.median(np.concatenate(volumes)))
    parameters = LesionAlarmParameters(folds=2, budget=0.4)
    false = [found < small for found in volumes]
    cases = [f"case{number}" for number in range(len(brains))]
    alarm = fit_lesion_alarm(read, false, model.info.digest, parameters, cases=cases)
    return AlarmStore(home / "alarms").save(name, alarm)
