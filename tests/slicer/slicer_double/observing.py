"""VTK observers: which the double itself holds, and which Python observers an object carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import vtk

_own: dict[str, set[int]] = {}


def observe(obj: vtk.vtkObject, event: int | str, callback: Callable[..., Any]) -> int:
    """`AddObserver` for the double's own use: not a leak of the code under test."""
    tag = obj.AddObserver(event, callback)
    _own.setdefault(obj.GetAddressAsString(""), set()).add(tag)
    return tag


def unobserve(obj: vtk.vtkObject, tag: int) -> None:
    """Undo `observe`."""
    obj.RemoveObserver(tag)
    _own.get(obj.GetAddressAsString(""), set()).discard(tag)


def forget(obj: vtk.vtkObject) -> None:
    """An object is about to go; its address may be used again."""
    _own.pop(obj.GetAddressAsString(""), None)


def python_observers(obj: vtk.vtkObject) -> Iterator[int]:
    """Tags of the observers that Python code added to this object and has not removed."""
    last = obj.AddObserver("AnyEvent", _nothing)
    obj.RemoveObserver(last)
    own = _own.get(obj.GetAddressAsString(""), set())
    for tag in range(1, last):
        command = obj.GetCommand(tag)
        if command is not None and command.GetClassName() == "vtkPythonCommand" and tag not in own:
            yield tag


def _nothing(*_arguments: Any) -> None:
    return
