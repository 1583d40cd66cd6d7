import csv
import json
import math
import tempfile
from pathlib import Path

import nrrd
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from slicerxai.data.volume import Volume
from slicerxai.errors import ConflictError, InputError
from slicerxai.explain import multipart
from slicerxai.explain.contract import Check, Explanation, Figure, Flag, Overlay, Provenance, Table
from slicerxai.explain.folder import load, save

PNG = b"\x89PNG\r\n\x1a\n--boundary\r\n\r\n\x00\xff"
DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
DTYPES += ["float16", "float32", "float64", "bool", ">f4", ">i2"]

names = st.text("ABCxyz019_-", min_size=1, max_size=8)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.floats()
cells = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | numbers | text
json_values = st.recursive(cells, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3))


@st.composite
def affines(draw):
    """Oblique, anisotropic, right- or left-handed, sheared a little."""
    number = st.floats(-1, 1, allow_subnormal=False)
    rotation, _ = np.linalg.qr(np.eye(3) * 1.5 + np.array(draw(st.lists(number, min_size=9, max_size=9))).reshape(3, 3))
    spacing = np.array(draw(st.lists(st.floats(0.1, 9), min_size=3, max_size=3)))
    flips = np.array(draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3)))
    shear = np.eye(3) + np.triu(np.array(draw(st.lists(number, min_size=9, max_size=9))).reshape(3, 3), 1) * 0.1
    affine = np.eye(4)
    affine[:3, :3] = rotation @ shear * spacing * flips
    affine[:3, 3] = draw(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3))
    return affine


@st.composite
def volumes(draw):
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    elements = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else None
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
    array = draw(st.just(np.zeros(shape, dtype)) | hnp.arrays(dtype, shape, elements=elements))
    return Volume(array.T if draw(st.booleans()) else array, draw(affines()))


def unique(values):
    return st.dictionaries(names, values, max_size=3).filter(lambda d: len({n.lower() for n in d}) == len(d))


kinds = st.sampled_from(["image", "labelmap", "probability", "saliency", "counterfactual", "difference"])
verdicts = st.sampled_from(["reliable", "caution", "unreliable"])
overlays = st.builds(Overlay, volume=volumes(), kind=kinds, units=text, description=text)
explanations = st.builds(
    Explanation,
    method=text,
    parameters=st.dictionaries(text, json_values, max_size=3),
    image_id=text,
    overlays=unique(overlays),
    tables=unique(st.builds(Table, title=text, columns=st.lists(text), rows=st.lists(st.lists(cells), max_size=3))),
    figures=unique(st.builds(Figure, png=st.binary(max_size=30).map(PNG.__add__), caption=text)),
    flags=st.lists(st.builds(Flag, subject=text, message=text), max_size=2),
    metrics=st.dictionaries(text, numbers, max_size=3),
    checks=st.lists(
        st.builds(Check, name=text, value=st.none() | numbers, limit=numbers, verdict=verdicts, reason=text), max_size=2
    ),
    provenance=st.none()
    | st.builds(
        Provenance,
        package_version=text,
        model=text,
        model_digest=text,
        inputs=st.dictionaries(text, text, max_size=2),
        seconds=numbers,
    ),
)


def plain(value):
    """Comparable form in which NaN equals NaN and a bool or an int never equals a float."""
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    return (type(value).__name__, value)


def assert_same(left: Explanation, right: Explanation):
    for field in ("method", "parameters", "image_id", "tables", "flags", "metrics", "checks", "provenance"):
        assert plain(getattr(left, field)) == plain(getattr(right, field)), field
    assert left.verdict == right.verdict
    assert left.figures == right.figures
    assert left.overlays.keys() == right.overlays.keys()
    for name, overlay in left.overlays.items():
        other = right.overlays[name]
        assert (overlay.kind, overlay.units, overlay.description) == (other.kind, other.units, other.description)
        assert overlay.volume.array.dtype.newbyteorder("=") == other.volume.array.dtype
        np.testing.assert_array_equal(overlay.volume.array, other.volume.array)
        np.testing.assert_array_equal(overlay.volume.affine, other.volume.affine)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(explanations)
def test_any_explanation_survives_folder_and_multipart(explanation):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "result"
        save(explanation, folder)
        assert_same(explanation, load(folder))
        json.loads((folder / "explanation.json").read_text(), parse_constant=pytest.fail)
        body, content_type = multipart.encode_folder(folder)
        assert (body, content_type) == multipart.encode(explanation)
        assert [path.name for path in Path(temporary).iterdir()] == ["result"]
    assert_same(explanation, multipart.decode(body, content_type))


def volume(dtype="float32"):
    affine = np.diag([-0.9, 1.1, 3.0, 1.0])
    affine[:3, 3] = [5, -6, 7]
    return Volume(np.arange(24).reshape(2, 3, 4).astype(dtype), affine)


@pytest.fixture
def explanation():
    return Explanation(
        method="saliency",
        parameters={"seed": 0},
        image_id="p/é 1",
        overlays={
            "FLAIR": Overlay(volume(), "image", "a.u.", "the scan"),
            "prediction": Overlay(volume("uint8"), "labelmap", "label", "lesions"),
        },
        figures={"curve": Figure(PNG, "a curve")},
        metrics={"gap": math.nan, "ratio": math.inf},
        checks=[Check(name="gap", value=math.nan, limit=0.1, verdict="unreliable", reason="not defined")],
    )


def test_the_file_is_lps_nrrd_for_any_reader(explanation, tmp_path):
    save(explanation, tmp_path / "x")
    array, header = nrrd.read(str(tmp_path / "x/overlays/FLAIR.nrrd"))
    assert header["space"] == "left-posterior-superior"
    assert header["encoding"] == "gzip"
    np.testing.assert_array_equal(array, volume().array)
    np.testing.assert_array_equal(header["space directions"], np.diag([0.9, -1.1, 3.0]))
    np.testing.assert_array_equal(header["space origin"], [-5, 6, 7])


def test_numbers_that_json_lacks_are_tagged(explanation, tmp_path):
    save(explanation, tmp_path / "x")
    document = json.loads((tmp_path / "x/explanation.json").read_text())
    assert document["metrics"] == {"gap": {"$float": "nan"}, "ratio": {"$float": "inf"}}
    assert document["verdict"] == "unreliable"


def test_an_earlier_explanation_and_its_report_are_replaced(explanation, tmp_path):
    save(explanation, tmp_path / "x")
    (tmp_path / "x/report.html").write_text("old")
    save(Explanation(method="other", parameters={}, image_id="2"), tmp_path / "x")
    assert load(tmp_path / "x").method == "other"
    assert sorted(path.name for path in (tmp_path / "x").iterdir()) == ["explanation.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_an_empty_folder_is_filled(explanation, tmp_path):
    (tmp_path / "x").mkdir()
    save(explanation, tmp_path / "x")
    assert load(tmp_path / "x").image_id == "p/é 1"


def foreign_folder(path):
    path.mkdir()
    (path / "thesis.docx").write_text("mine")


def foreign_file(path):
    path.write_text("mine")


def explanation_with_foreign_file(path):
    save(Explanation(method="m", parameters={}, image_id="1"), path)
    (path / "thesis.docx").write_text("mine")


@pytest.mark.parametrize("prepare", [foreign_folder, foreign_file, explanation_with_foreign_file])
def test_nothing_of_somebody_else_is_overwritten(explanation, tmp_path, prepare):
    prepare(tmp_path / "x")
    before = sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*"))
    with pytest.raises(ConflictError, match="x"):
        save(explanation, tmp_path / "x")
    assert sorted((path, path.is_file() and path.read_bytes()) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", "é", "a.nrrd", "params", "Params", "x" * 101, "a\n"])
@pytest.mark.parametrize("kind", ["overlays", "figures", "tables"])
def test_bad_names_are_refused_and_leave_nothing(name, kind, tmp_path):
    table = Table(title="", columns=[], rows=[])
    part = {"overlays": Overlay(volume(), "image", "", ""), "figures": Figure(PNG, ""), "tables": table}[kind]
    with pytest.raises(InputError, match="accepted"):
        save(Explanation(method="m", parameters={}, image_id="1", **{kind: {name: part}}), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_tables_are_written_for_spreadsheets(tmp_path):
    table = Table(title="T", columns=["a, b", "c"], rows=[["Ü", 1.5], [None, True], ['"', -3]])
    save(Explanation(method="m", parameters={}, image_id="1", tables={"x": table}), tmp_path / "out")
    with (tmp_path / "out" / "tables" / "x.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == [["a, b", "c"], ["Ü", "1.5"], ["", "true"], ['"', "-3"]]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"parameters": {"a": [1, {2, 3}]}}, r"explanation\.parameters\.a\[1\]"),
        ({"parameters": {"a": {"$float": "nan"}}}, r"explanation\.parameters\.a"),
        ({"overlays": {"a": Overlay(Volume(np.zeros((0, 1, 1)), np.eye(4)), "image", "", "")}}, "'a'"),
        ({"overlays": {"a": Overlay(volume("complex64"), "image", "", "")}}, "complex64"),
        ({"overlays": {n: Overlay(volume(), "image", "", "") for n in "aA"}}, "only in case"),
        ({"figures": {"a": Figure(b"GIF89a", "")}}, "not a PNG"),
    ],
)
def test_what_cannot_be_stored_is_named_and_leaves_nothing(change, fault, tmp_path):
    with pytest.raises(InputError, match=fault):
        save(Explanation(**({"method": "m", "parameters": {}, "image_id": "1"} | change)), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file", ["explanation.json", "overlays/FLAIR.nrrd", "figures/curve.png"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped"])
def test_damage_is_reported_with_the_file_name(explanation, tmp_path, file, damage):
    save(explanation, tmp_path / "x")
    path = tmp_path / "x" / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 0x80]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if damage == "truncated" else flipped)
    with pytest.raises(InputError, match=Path(file).name):
        load(tmp_path / "x")


@pytest.mark.parametrize(
    "edit",
    [
        {"format": 2},
        {"format": None},
        {"metrics": {"a": "many"}},
        {"metrics": {"a": {"$float": "many"}}},
        {"metrics": {"a": {"$float": []}}},
        {"surprise": 1},
        {"verdict": "reliable"},
        {"overlays": {"a": 1}},
    ],
)
def test_a_wrong_document_is_refused(explanation, tmp_path, edit):
    save(explanation, tmp_path / "x")
    path = tmp_path / "x/explanation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(InputError, match=r"explanation\.json"):
        load(tmp_path / "x")


def test_a_document_cannot_point_outside_its_folder(explanation, tmp_path):
    save(explanation, tmp_path / "x")
    path = tmp_path / "x/explanation.json"
    document = json.loads(path.read_text())
    document["figures"]["curve"]["file"] = "../../secret.png"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="secret"):
        load(tmp_path / "x")
