"""Readers' decisions become a new classifier, through the real server."""

import time

import pytest

from slicerxai.models.store import ModelStore
from tests.support.classifier import LABELS, store_classifier
from tests.support.halves import halves_cohort
from tests.support.server import FRUGAL, Server


@pytest.mark.slow
def test_train_on_reviews(tmp_path):
    server = Server(tmp_path, **FRUGAL)
    cases = halves_cohort(server.studies, 16)
    models = ModelStore(server.home / "models")
    digest = store_classifier(models, "regions")
    with server:
        for number, case in enumerate(cases):
            found = {"left": case.metadata["left_ml"] > 0, "right": case.metadata["right_ml"] > 0}
            body = {"model": "regions", "digest": digest, "decision": "corrected"}
            body["labels"] = found | {"middle": number % 3 == 0}
            answer = server.request("PUT", f"/explain/worklist/{case.id}_FLAIR", json=body)
            assert answer.status_code == 200, answer.text

        small = {"name": "learned", "shape": "24,24,24", "spacing": 4.0, "features": 4, "cells": 2, "epochs": 2}
        answer = server.request("POST", "/train/classifier", json=small | {"validation_share": 0.4})
        assert answer.status_code == 200, answer.text
        deadline = time.monotonic() + 300
        while (task := server.request("GET", "/train/").json())["status"] not in ("DONE", "ERROR"):
            assert time.monotonic() < deadline, task
            time.sleep(0.3)
        assert task["status"] == "DONE", "\n".join(task["details"])
        listed = server.request("GET", "/explain/worklist?model=learned").json()

    assert listed["kind"] == "classifier"
    assert listed["labels"] == list(LABELS)
    provenance = models.describe("learned")["provenance"]
    trained, aside = provenance["training_cases"], provenance["validation_cases"]
    assert sorted(trained + aside) == [f"{case.id}_FLAIR" for case in cases]
    assert (listed["alarm"] is None) or listed["alarm"]["cases"] == len(aside)
