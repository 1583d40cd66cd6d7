"""Passes through the networks against `expected`."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import DenseNet

from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.explain import registry
from slicerxai.explain.contract import Inputs
from slicerxai.interventions.measure import measure
from slicerxai.interventions.outcomes import reader
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan
from slicerxai.monitoring.observe import observe
from slicerxai.progress import silent
from slicerxai.saliency.class_maps import class_maps
from tests.counts import expected
from tests.counts.tally import Counted, Tally
from tests.support.box_property import InBox
from tests.support.boxes import BoxClassifier, box_mask, head
from tests.support.spots import OBLIQUE, SpotSegmenter, scan

CPU = torch.device("cpu")


def explained(name: str) -> tuple[Tally, dict[str, float]]:
    """Passes and metrics of "METHOD" or "METHOD VARIANT" on a segmented scan."""
    method, _, variant = name.partition(" ")
    model = SpotSegmenter()
    model.network = counted = Counted(model.network)
    values = {"method": variant, "steps": expected.STEPS} if variant else {}
    parameters = registry.parameters_class(method).model_validate(values)
    inputs = Inputs("case", {"FLAIR": scan()}, {"FLAIR": "0"}, model)
    return counted.tally, registry.explainer(method).explain(inputs, parameters, silent).metrics


@pytest.mark.parametrize("name", expected.CASES)
def test_explaining_a_case(name: str) -> None:
    tally, _ = explained(name)
    assert (tally.forward, tally.backward) == expected.CASES[name][:2], expected.CASES[name].why


def test_what_the_table_counts_with() -> None:
    _, metrics = explained("saliency lrp")
    assert metrics["patches"] == expected.WINDOWS


def images() -> torch.Tensor:
    return torch.rand(expected.IMAGES, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def classifier() -> Counted:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = DenseNet(2, 1, expected.LABELS, init_features=6, growth_rate=4, block_config=(2, 2))
    return Counted(network.eval())


@pytest.mark.parametrize("method", expected.CLASS_MAPS)
def test_maps_of_all_labels(method) -> None:
    network = classifier()
    class_maps(network, images(), method, CPU, steps=expected.STEPS)
    tally = network.tally
    assert (tally.forward, tally.backward) == expected.CLASS_MAPS[method][:2], expected.CLASS_MAPS[method].why


@pytest.mark.parametrize("score", expected.READINGS)
def test_readings_of_a_classifier(score) -> None:
    network = classifier()
    observe(network, images(), [0.5] * expected.LABELS, CPU, score=score)
    tally = network.tally
    assert (tally.forward, tally.backward) == expected.READINGS[score][:2], expected.READINGS[score].why


def test_a_property_with_controls() -> None:
    model, image = BoxClassifier(), {"FLAIR": head(OBLIQUE)}
    mask = box_mask(model, image["FLAIR"], "first")
    model.network = counted = Counted(model.network)
    path = gradual_path(InBox(mask, None), Scan(image), steps=expected.PROPERTY_STEPS)
    found = measure(path, reader(model, image), controls=expected.CONTROLS)
    assert len(path) == expected.PROPERTY_STEPS
    assert found.controls is not None
    tally = counted.tally
    assert (tally.forward, tally.backward) == expected.PROPERTY[:2], expected.PROPERTY.why


def test_a_counterfactual_takes_one_gradient_a_step() -> None:
    network = classifier()
    parameters = SolverParameters(steps=expected.SOLVER_STEPS, tolerance=1e-9, low=0.0, high=1.0)
    found = counterfactual(lambda x: network(x)[:, 0], images()[:1], parameters)
    assert int(found.iterations[0]) == expected.SOLVER_STEPS, "it has not ended early"
    tally = network.tally
    assert (tally.forward, tally.backward) == expected.SOLVER[:2], expected.SOLVER.why
