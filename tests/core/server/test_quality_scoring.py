"""Scoring all images by an alarm, and the next sample by suspicion, without a server."""

import numpy as np
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.models.store import ModelStore, digest
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.server.monailabel import quality
from slicerxai.server.monailabel.quality import Quality
from slicerxai.server.monailabel.sampling import UncertaintyFirst
from slicerxai.server.monailabel.suspicion import SuspicionFirst
from slicerxai.server.sources import Sources
from slicerxai.server.worklist_schemas import ReviewRequest
from slicerxai.server.worklists import Worklists
from tests.support.classifier import LABELS, store_alarm, store_classifier


class Folder:
    def __init__(self, folder):
        self.folder = self._datastore_path = folder
        self.labelled = []

    def list_images(self):
        return sorted(path.name.removesuffix(".nii.gz") for path in self.folder.glob("*.nii.gz"))

    def get_image_uri(self, image):
        return str(self.folder / f"{image}.nii.gz")

    def get_labeled_images(self):
        return self.labelled

    def get_unlabeled_images(self):
        return [image for image in self.list_images() if image not in self.labelled]


def box(seed, shape=(20, 22, 18)):
    array = np.zeros(shape, np.float32)
    array[3:-3, 3:-3, 3:-3] = np.random.default_rng(seed).normal(100, 10, tuple(n - 6 for n in shape))
    return Volume(array, np.diag([4.0, 4, 4, 1]))


@pytest.fixture
def place(tmp_path):
    studies = tmp_path / "studies"
    studies.mkdir()
    for number, name in enumerate("abc"):
        write_volume(studies / f"{name}.nii.gz", box(number))
    models = ModelStore(tmp_path / "models")
    store_classifier(models, "regions")
    datastore = Folder(studies)
    return Worklists(
        models, lambda name: digest(models.folder(name)), Sources(datastore, studies), AlarmStore(tmp_path / "alarms")
    )


def fit(place, **parameters):
    return store_alarm(place.alarms, "regions", place.model("regions").digest, **parameters)


def score(place, **request):
    return Quality(lambda: place)(request, place.sources.datastore)


def ask(place, **request):
    return SuspicionFirst(lambda: place)(request, place.sources.datastore)


def items(place, name="regions"):
    return {one.image: one for one in place.view(name, scoring=lambda model: False).items}


def test_every_image_gets_its_record_once(place, monkeypatch):
    fit(place)
    assert score(place) == {"model": "regions", "scored": 3, "skipped": 0, "unusable": 0}
    found = items(place)
    for one in found.values():
        assert [part.label for part in one.classes] == list(LABELS)
        assert one.suspicion == pytest.approx(sum(part.suspicion for part in one.classes))
    monkeypatch.setattr(quality, "judged", None)  # not called for what is scored
    assert score(place) == {"model": "regions", "scored": 0, "skipped": 3, "unusable": 0}
    assert items(place) == found


def test_another_alarm_or_image_is_scored_again(place):
    fit(place)
    score(place)
    write_volume(place.sources.images_root / "a.nii.gz", box(9))
    assert score(place)["scored"] == 1
    fit(place, seed=1)
    assert not any(one.scored for one in items(place).values())
    assert score(place)["scored"] == 3


def test_an_unusable_image_says_why_and_does_not_stop_the_others(place):
    fit(place)
    studies = place.sources.images_root
    write_volume(studies / "0empty.nii.gz", Volume(np.zeros((20, 20, 20), np.float32), np.eye(4)))
    (studies / "0text.nii.gz").write_text("no image")
    secret = studies.parent / "secret.nii.gz"
    write_volume(secret, box(0))
    (studies / "0linked.nii.gz").symlink_to(secret)
    assert score(place) == {"model": "regions", "scored": 3, "skipped": 0, "unusable": 3}
    found = items(place)
    for name in ("0empty", "0text", "0linked"):
        assert not found[name].scored
        assert found[name].error
        assert str(studies) not in found[name].error
    write_volume(studies / "0empty.nii.gz", box(5))
    assert score(place)["scored"] == 1
    assert items(place)["0empty"].error is None


def test_an_unforeseen_fault_is_one_image_s_and_is_tried_again(place, monkeypatch):
    fit(place)
    judged = quality.judged

    def faulty(model, paths, alarm):
        if next(iter(paths.values())).name == "b.nii.gz":
            return 1 / 0
        return judged(model, paths, alarm)

    monkeypatch.setattr(quality, "judged", faulty)
    assert score(place)["unusable"] == 1
    assert "ZeroDivisionError" in items(place)["b"].error
    monkeypatch.setattr(quality, "judged", judged)
    assert score(place) == {"model": "regions", "scored": 1, "skipped": 2, "unusable": 0}


def test_what_was_scored_before_a_stop_stays(place, monkeypatch):
    fit(place)
    judged, count = quality.judged, []

    def stopped(*arguments):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return judged(*arguments)

    monkeypatch.setattr(quality, "judged", stopped)
    with pytest.raises(KeyboardInterrupt):
        score(place)
    assert sum(one.scored for one in items(place).values()) == 2


def test_without_an_alarm_it_says_what_to_type(place):
    with pytest.raises(ConflictError, match="slicerxai alarm regions COHORT"):
        score(place)
    with pytest.raises(NotFoundError):
        score(place, model="nothing")


def test_the_next_sample_is_the_unreviewed_one_most_likely_wrong(place):
    fit(place)
    score(place)
    order = [one.image for one in place.items(place.model("regions"))]
    first = ask(place)
    assert first["id"] == order[0]
    assert first["model"] == "regions"
    assert first["score"] == pytest.approx(items(place)[order[0]].suspicion)
    assert "wrong classes expected, the most of 3 scored images, 0 not scored" in first["reason"]
    assert "cosine" in first["reason"]
    for image in order[:2]:
        body = ReviewRequest(model="regions", digest=place.model("regions").digest, decision="accepted")
        place.decide(image, body)
    assert ask(place, model="regions")["id"] == order[2]
    place.decide(order[2], body)
    assert ask(place) is None


def test_the_next_sample_without_scores_says_why(place):
    first = ask(place)
    assert first["id"] == "a"
    assert "slicerxai alarm regions COHORT" in first["reason"]
    assert "score" not in first
    fit(place)
    assert "POST /scoring/quality" in ask(place)["reason"]
    with pytest.raises(NotFoundError):
        ask(place, model="nothing")
    for name in place.models.names():
        (place.models.folder(name) / "model.json").unlink()
    assert "no model" in ask(place)["reason"]


def test_uncertainty_refuses_a_classifier_and_overlooks_it_otherwise(place):
    strategy = UncertaintyFirst(place.models, lambda model, image: 0.5)
    with pytest.raises(InputError, match="suspicion"):
        strategy({"model": "regions"}, place.sources.datastore)
    assert "no model" in strategy({}, place.sources.datastore)["reason"]
