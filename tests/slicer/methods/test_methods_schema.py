"""Fields of a form from JSON schemas, and their faults compared with what the server's own models say."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from every_kind import Box, Everything
from pydantic import BaseModel
from XAILib.schema import fields_of, fields_of_options
from XAILib.schema_values import accepted, alternative, check, faults, known_path, request, start, started, told

from slicerxai.errors import InputError
from slicerxai.explain import registry
from slicerxai.parameters import validate_parameters

FIELDS = fields_of(Everything.model_json_schema())
BY_NAME = {field.name: field for field in FIELDS}


def refused(model: type[BaseModel], values: dict[str, Any]) -> str:
    """What the server says; empty when it accepts."""
    try:
        validate_parameters(model, values, "test")
    except InputError as error:
        return str(error)
    return ""


def test_kinds() -> None:
    kinds = {field.name: field.kind for field in FIELDS}
    assert kinds == {
        "yes": "boolean", "whole": "integer", "share": "number", "half": "number", "nothing": "integer",
        "name": "text", "mode": "choice", "only": "choice", "some": "choices", "point": "point", "pair": "numbers",
        "numbers": "numbers", "texts": "texts", "mixed": "json", "roi": "either", "either": "either", "boxes": "list",
        "by_name": "map", "tree": "group", "anything": "json", "hidden": "integer", "seed": "integer",
    }  # fmt: skip
    assert FIELDS[0].name == "yes"
    assert FIELDS[0].required
    assert [field.name for field in FIELDS if field.advanced][-1] == "seed"
    assert BY_NAME["hidden"].advanced
    assert BY_NAME["hidden"].unit == "ml"
    assert BY_NAME["whole"].unit == "mm"
    assert BY_NAME["point"].unit == "mm"
    assert BY_NAME["only"].fixed
    assert not BY_NAME["mode"].fixed
    assert [choice.title for choice in BY_NAME["mode"].choices] == ["quick", "slow and exact", "3"]
    box, ball = BY_NAME["roi"].fields
    assert (BY_NAME["roi"].tag, box.name, ball.name, ball.title) == ("shape", "box", "ball", "Ball")
    assert box.fields[1].unit == "mm"


def test_a_schema_that_refers_to_itself_ends_in_json() -> None:
    children = BY_NAME["tree"].fields[1]
    assert (children.kind, children.item and children.item.kind) == ("list", "json")
    assert fields_of({"$defs": {"A": {"$ref": "#/$defs/A"}}, "$ref": "#/$defs/A"}) == ()
    [whole] = fields_of({"oneOf": [{"type": "object", "properties": {}}, {"type": "array"}]})
    assert (whole.name, whole.kind) == ("", "either")


def test_constructs_that_no_control_knows_become_json() -> None:
    odd = [{"type": "object", "patternProperties": {"^x": {}}}, {"not": {"type": "null"}}, {"enum": [{"a": 1}]},
           {"type": "array"}, {"$ref": "#/nowhere"}, {"$ref": "https://elsewhere/a.json"}, True, {"type": "file"},
           {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]}]  # fmt: skip
    schema = {"properties": {f"p{place}": node for place, node in enumerate(odd)}}
    fields = fields_of(schema)
    assert {field.name: field.kind for field in fields} == {f"p{place}": "json" for place in range(len(odd))}
    assert request(fields, {"p0": {"x1": [1]}}) == {"p0": {"x1": [1]}}


def test_bombs_are_bounded() -> None:
    definitions = {
        f"N{n}": {"properties": {key: {"$ref": f"#/$defs/N{n + 1}"} for key in "abcdefgh"}} for n in range(9)
    }
    fields = fields_of({"$defs": definitions, "properties": {"a": {"$ref": "#/$defs/N0"}}})

    def count(field: Any) -> int:
        return 1 + sum(map(count, field.fields))

    assert sum(map(count, fields)) < 1100


BAD = [
    {"whole": 1}, {"whole": 9}, {"whole": 2.5}, {"share": 0}, {"share": 1}, {"half": 0.3}, {"name": ""},
    {"name": "abcd"}, {"name": "A"}, {"mode": "other"}, {"only": "that"}, {"some": ["a", "z"]}, {"point": [1, 2]},
    {"pair": [1]}, {"numbers": []}, {"numbers": [1, 2, 3, 4]}, {"roi": {"shape": "cone"}}, {"roi": {}},
    {"roi": {"shape": "box", "edge_mm": 0}}, {"boxes": [{"shape": "box"}, {"edge_mm": 3}]},
    {"by_name": {"a": {"shape": "box", "edge_mm": 200}}}, {"yes": None}, {"numbers": None},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD, ids=json.dumps)
def test_faults_are_told_as_the_server_tells_them(bad: dict[str, Any]) -> None:
    here = faults(FIELDS, {"yes": True, **bad})
    message = refused(Everything, {"yes": True, **bad})
    there = told(f"The server refuses: {message}", FIELDS)
    assert here
    assert message
    assert list(here) == list(there)
    if None not in bad.values():
        assert list(here.values()) == list(there.values())


def test_what_is_missing_is_told() -> None:
    assert faults(FIELDS, {}) == {"yes": "Field required"} == told(refused(Everything, {}), FIELDS)


GOOD = [
    {"whole": 8}, {"nothing": None}, {"nothing": 7}, {"mode": 3}, {"some": []}, {"some": ["c", "a"]},
    {"point": [1, -2.5, 3]}, {"pair": [3, 4]}, {"texts": ["a, b", ""]}, {"mixed": [2, "b"]},
    {"roi": {"shape": "box", "edge_mm": 3}}, {"roi": {"shape": "ball", "radius": 1}}, {"either": [1, 2]},
    {"either": 6}, {"boxes": [{"shape": "box"}]}, {"by_name": {"a b": {"shape": "box"}}},
    {"tree": {"name": "x", "children": [{"name": "y"}]}}, {"anything": {"a": [None, True]}},
]  # fmt: skip


@pytest.mark.parametrize("good", GOOD, ids=json.dumps)
def test_values_come_back_as_they_were(good: dict[str, Any]) -> None:
    values = {"yes": True, **good}
    assert faults(FIELDS, values) == {}
    assert refused(Everything, values) == ""
    asked = json.loads(json.dumps(request(FIELDS, values)))
    assert accepted(FIELDS, asked) == asked == values
    assert Everything(**asked) == Everything(**values)


def test_defaults_are_not_sent_and_null_is_where_it_differs() -> None:
    values = {"yes": False, "whole": 3, "share": 0.5, "nothing": 4, "point": None, "some": ["a"]}
    assert request(FIELDS, values) == {"yes": False}
    assert request(FIELDS, {"yes": False, "nothing": None}) == {"yes": False, "nothing": None}


def test_two_ways_to_say_the_default_are_the_default() -> None:
    default = {"shape": "box", "edge_mm": 10}
    parts = {"a": {"$ref": "#/$defs/Box", "default": default}}
    fields = fields_of({"$defs": {"Box": Box.model_json_schema()}, "properties": parts})
    assert request(fields, {"a": {"shape": "box"}}) == request(fields, {"a": default}) == {}
    assert request(fields, {"a": {"shape": "box", "edge_mm": 5}}) == {"a": {"shape": "box", "edge_mm": 5}}


def test_what_a_scene_holds_of_another_version_is_left_out() -> None:
    assert accepted(FIELDS, {"whole": 100, "gone": 1, "share": 0.25, "name": 5}) == {"share": 0.25}
    assert accepted(FIELDS, [1]) == accepted(FIELDS, None) == {}


def test_starts_are_accepted_where_the_schema_lets_them() -> None:
    assert started(FIELDS) == {"yes": False}
    for field in FIELDS:
        assert check(field, start(field)) == {}, field.name
    box = BY_NAME["roi"].fields[0]
    assert start(box) == {"shape": "box"}


def test_the_alternative_of_a_value() -> None:
    assert [alternative(BY_NAME["roi"], {"shape": name}) for name in ("box", "ball", "cone")] == [0, 1, 0]
    assert [alternative(BY_NAME["either"], value) for value in (1, [1], "x")] == [0, 1, 0]


def test_a_fault_of_several_parameters_belongs_to_the_whole() -> None:
    fields = fields_of(registry.parameters_class("property").model_json_schema())
    message = refused(registry.parameters_class("property"), {"low": 2.0, "steps": 1})
    assert told(message, fields) == {"steps": "Input should be greater than or equal to 2"}
    message = refused(registry.parameters_class("property"), {"low": 2.0})
    assert told(message, fields) == {"": "low and high belong to one property; name just one in properties"}
    assert told("The server has a fault. Try again.", fields) == {}


def test_paths_through_alternatives_lead_to_their_field() -> None:
    fields = fields_of(registry.parameters_class("shift").model_json_schema())
    bad = {"source": {"where": {"age": {"minimum": "x"}}}, "target": {}}
    message = refused(registry.parameters_class("shift"), bad)
    assert "source.where.age" in told(message, fields) or "source.where.age.minimum" in told(message, fields)
    assert known_path(fields, ["source", "where", "age", "Between", "minimum"]) == "source.where.age.minimum"
    assert known_path(fields, ["nobody"]) == ""


@pytest.mark.parametrize("name", registry.METHODS)
def test_every_method_of_the_server_has_a_form(name: str) -> None:
    """All of its parameters, none of them as JSON; the smallest request is one that the server accepts."""
    model = registry.parameters_class(name)
    fields = fields_of(model.model_json_schema())
    assert {field.name for field in fields} == set(model.model_fields)
    assert not [field.name for field in fields if field.kind == "json"]
    assert faults(fields, started(fields)) == {}
    assert refused(model, request(fields, started(fields))) == ""
    assert not fields[0].advanced or len(fields) == 1
    for field, more in itertools.product(fields, (1e9, "§", [], -1)):
        values = {**started(fields), field.name: more}
        if faults(fields, values):  # nothing is refused here that the server would take; strict JSON, no conversion
            assert refused(model, values) or isinstance(more, float)


def test_options_of_a_training() -> None:
    fields = fields_of_options({"name": "fast", "resume": False, "epochs": 5, "loss": ["dice", "ce"], "rate": None})
    assert [(field.kind, field.default) for field in fields] == [
        ("text", "fast"), ("boolean", False), ("integer", 5), ("choice", "dice"), ("json", None),
    ]  # fmt: skip
    assert request(fields, {"epochs": 7, "loss": "dice"}) == {"epochs": 7}


def test_choices_with_titles() -> None:
    part = {"oneOf": [{"const": "a", "title": "First", "description": "The usual one."}, {"const": 2}]}
    [field] = fields_of({"properties": {"kind": part}})
    assert [(one.value, one.title, one.help) for one in field.choices] == [
        ("a", "First", "The usual one."), (2, "2", ""),
    ]  # fmt: skip


def test_all_of_and_types_in_a_list() -> None:
    schema = {
        "$defs": {"Low": {"minimum": 1, "type": "integer"}},
        "properties": {
            "n": {"allOf": [{"$ref": "#/$defs/Low"}, {"maximum": 5}]},
            "t": {"type": ["string", "null"]},
            "u": {"type": ["integer", "string"]},
        },
        "required": ["n", "t", "u"],
    }
    fields = {field.name: field for field in fields_of(schema)}
    assert (fields["n"].kind, fields["n"].limits.minimum, fields["n"].limits.maximum) == ("integer", 1, 5)
    assert (fields["t"].kind, fields["t"].nullable, fields["u"].kind) == ("text", True, "either")
    assert [one.kind for one in fields["u"].fields] == ["integer", "text"]
    assert faults(fields.values(), {"n": 2, "t": None, "u": "x"}) == {}
