import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.shift.graph import DEFAULT_GRAPH, Mechanism, MechanismGraph
from slicerxai.shift.samples import Pair, Samples


def cases(n=6, d=2, prefix="s", **changes):
    given = {
        "variables": {"S": np.zeros((n, d))},
        "metric": np.zeros(n),
        "subjects": np.array([f"{prefix}{k}" for k in range(n)]),
    }
    return Samples(**(given | changes))


def test_default_graph_goes_from_patient_to_image_to_mask():
    assert DEFAULT_GRAPH.names == ("population", "acquisition", "annotation")
    assert [str(m) for m in DEFAULT_GRAPH.mechanisms] == ["P(S)", "P(X | S)", "P(Y | X)"]
    assert DEFAULT_GRAPH.index("annotation") == 2


@pytest.mark.parametrize(
    ("mechanisms", "message"),
    [
        ((), "at least one"),
        ((Mechanism("a", "A"), Mechanism("a", "B")), "'a'"),
        ((Mechanism("a", "A"), Mechanism("b", "A")), "'A'"),
        ((Mechanism("a", "A", ("Z",)),), "'Z'"),
        ((Mechanism("a", "A", ("B",)), Mechanism("b", "B", ("A",))), "cycle"),
        ((Mechanism("", "A"),), "non-empty"),
    ],
)
def test_what_is_no_graph_is_refused(mechanisms, message):
    with pytest.raises(InputError, match=message):
        MechanismGraph(mechanisms)


def test_unknown_mechanism_names_the_known_ones():
    with pytest.raises(InputError, match="population, acquisition, annotation"):
        DEFAULT_GRAPH.index("scanner")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": np.full(6, np.nan)}, "finite"),
        ({"variables": {"S": np.zeros((5, 2))}}, r"\(6, d\)"),
        ({"variables": {"S": np.zeros(6)}}, r"\(6, d\)"),
        ({"variables": {"S": np.full((6, 1), np.inf)}}, "'s0'"),
        ({"subjects": np.array(["a"] * 5)}, "5 subjects for 6"),
        ({"subjects": np.array(["a"] * 6)}, "5 subjects or more"),
    ],
)
def test_unusable_cases_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        cases(**changes)


def test_pair_needs_the_same_variables_and_those_of_the_graph():
    with pytest.raises(InputError, match="2 features in the source and 3 in the target"):
        Pair(cases(), cases(d=3))
    with pytest.raises(InputError, match="needs variable 'X'"):
        Pair(cases(), cases(prefix="t")).check(DEFAULT_GRAPH)


def test_pair_lists_the_source_first():
    pair = Pair(cases(metric=np.ones(6)), cases(n=7, prefix="t"))
    assert pair.metric.tolist() == [1] * 6 + [0] * 7
    assert pair.labels.tolist() == [0] * 6 + [1] * 7
    assert pair.variable("S").shape == (13, 2)
