"""All properties by name."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

from slicerxai.errors import InputError, NotFoundError
from slicerxai.interventions.property import Property, Scan
from slicerxai.interventions.property_info import PROPERTIES, PROPERTY_NAMES, Kind

_CLASSES = {
    "contrast": "contrast:Contrast",
    "noise": "noise:Noise",
    "bias_field": "bias_field:BiasField",
    "slice_thickness": "slice_thickness:SliceThickness",
    "resolution": "resolution:Resolution",
    "lesion_load": "lesion_load:LesionLoad",
    "lesion_size": "lesion_size:LesionSize",
    "lesion_contrast": "lesion_contrast:LesionContrast",
    "gain": "gain:Gain",
    "colour_patch": "colour_patch:ColourPatch",
    "recorded": "recorded:Recorded",
}


def find_property(name: str, generator: str | None = None) -> Property:
    """The property of this name.

    Args:
        name: key in `PROPERTIES`.
        generator: name of a trained generator, which "generated" needs and the others ignore.

    Raises:
        NotFoundError: there is no such property; lists them.
        InputError: "generated" without a generator.
    """
    if name not in PROPERTIES:
        msg = f"unknown property {name!r}; known: {', '.join(PROPERTY_NAMES)}"
        raise NotFoundError(msg, accepted=PROPERTY_NAMES)
    if name == "generated":
        if generator is None:
            msg = "the property 'generated' needs the name of a trained generator"
            raise InputError(msg)
        module = import_module("slicerxai.interventions.generator.property")
        return module.GeneratedProperty(generator)
    if name.startswith("centre_"):
        from slicerxai.interventions.properties.centre import Centre

        return Centre(name.removeprefix("centre_"))
    module_name, class_name = _CLASSES[name].split(":")
    return getattr(import_module(f"slicerxai.interventions.properties.{module_name}"), class_name)()


def usable_properties(scan: Scan, kinds: Collection[Kind] | None = None) -> tuple[list[Property], dict[str, str]]:
    """The properties that can be changed on this scan, in the order of `PROPERTIES`, and of the others the reason.

    Args:
        scan: what is to be changed.
        kinds: only these; None takes all. Generated properties have to be asked for by name, as they need a generator.
    """
    found: list[Property] = []
    reasons: dict[str, str] = {}
    for name, info in PROPERTIES.items():
        if info.kind == "generated" or (kinds is not None and info.kind not in kinds):
            continue
        one = find_property(name)
        reason = one.unusable(scan)
        if reason is None:
            found.append(one)
        else:
            reasons[name] = reason
    return found, reasons
