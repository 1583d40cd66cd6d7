"""The prediction as an explanation: what the model gives, nothing left out, and its report."""

import numpy as np
import pytest
import torch

from slicerxai.data.io import write_volume
from slicerxai.errors import InputError
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters, run
from slicerxai.models.store import ModelStore
from tests.conftest import spotted_brain


@pytest.fixture
def explained(tiny_home, tmp_path):
    model = ModelStore(tiny_home / "models").load("tiny", torch.device("cpu"))
    image, _ = spotted_brain(seed=11)
    write_volume(tmp_path / "image.nii.gz", image)
    found = model.predict({"FLAIR": image})
    return run(
        "prediction", parse_parameters("prediction", {}), model, "a", {"FLAIR": tmp_path / "image.nii.gz"}
    ), found


def test_it_is_what_the_model_gives(explained):
    explanation, found = explained
    prediction = explanation.overlays["prediction"].volume
    np.testing.assert_array_equal(prediction.array, found.labelmap.array != 0)
    np.testing.assert_allclose(explanation.overlays["probability"].volume.array, found.probability.array, atol=1e-5)
    volume = (found.labelmap.array != 0).sum() * found.labelmap.voxel_volume / 1000
    assert volume > 0
    assert explanation.metrics["lesion_volume_ml"] == pytest.approx(volume)
    assert len(explanation.tables["lesions"].rows) == explanation.metrics["lesions"] > 0
    assert explanation.checks
    assert "Prediction" in render(explanation)


def test_a_classifier_is_refused():
    from types import SimpleNamespace

    from slicerxai.explain.prediction import PredictionExplainer
    from slicerxai.explain.prediction_parameters import PredictionParameters
    from slicerxai.progress import silent

    model = SimpleNamespace(info=SimpleNamespace(name="xray"))
    inputs = SimpleNamespace(model=model, images={}, image_id="a")
    with pytest.raises(InputError, match="'xray' classifies"):
        PredictionExplainer().explain(inputs, PredictionParameters(), silent)
