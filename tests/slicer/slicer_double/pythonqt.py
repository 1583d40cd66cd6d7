"""The module `qt`, made from PySide6 with PythonQt's rules: properties are values, unknown attributes are refused."""

from __future__ import annotations

import functools
import threading
import weakref
from types import ModuleType
from typing import Any

from PySide6 import QtCore, QtGui, QtNetwork, QtWidgets

MAIN_THREAD = threading.get_ident()

_NOT_IN_PYTHONQT = ("Signal", "Slot", "Property", "ClassInfo", "QEnum", "QFlag", "SignalInstance", "MetaSignal")
# C++ asks for a Python override of a virtual function by its name: such a name must stay a method here, which would
# otherwise call itself until Python gives up
_VIRTUAL = ("sizeHint", "minimumSizeHint", "spacing")
custom_widgets: dict[str, type] = {}
_patched: set[type] = set()
thread_faults: list[str] = []


class Unconvertible(AttributeError):
    """A value that PythonQt would not put into this property (PythonQt raises AttributeError too)."""


def register_custom_widget(widget_class: type) -> type:
    """Class decorator: a .ui file may name this class; its properties follow PythonQt's rules."""
    patch_class(widget_class)
    custom_widgets[widget_class.__name__] = widget_class
    return widget_class


def _refuse_other_threads(obj: Any, name: str) -> None:
    if threading.get_ident() != MAIN_THREAD:
        message = f"{type(obj).__name__}.{name} was used from thread {threading.current_thread().name!r}"
        thread_faults.append(message)
        raise RuntimeError(message + "; Qt widgets belong to the main thread")


def _checked(value: Any, meta: QtCore.QMetaProperty) -> Any:
    """The value as the property takes it, or `Unconvertible`; bool, int, float and str are not mixed."""
    type_name = meta.typeName()
    strict: dict[str, tuple[type, ...]] = {"bool": (bool,), "QString": (str,), "double": (float, int), "int": (int,)}
    strict["QStringList"] = (list, tuple)
    if meta.isEnumType() or type_name not in strict:
        return value
    accepted = strict[type_name]
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise Unconvertible(
            f"Property '{meta.name()}' of type '{type_name}' does not accept an object of type {type(value).__name__}"
        )
    return value


def _getter(name: str) -> Any:
    def get(self: QtCore.QObject) -> Any:
        _refuse_other_threads(self, name)
        return self.property(name)

    return get


def _setter(name: str) -> Any:
    def set_(self: QtCore.QObject, value: Any) -> None:
        _set_property(self, name, value)

    return set_


def _set_property(self: QtCore.QObject, name: str, value: Any) -> None:
    _refuse_other_threads(self, name)
    meta_object = self.metaObject()
    meta = meta_object.property(meta_object.indexOfProperty(name))
    if not meta.isWritable():
        raise AttributeError(f"Property '{name}' of {type(self).__name__} object is not writable")
    if not self.setProperty(name, _checked(value, meta)):
        raise Unconvertible(
            f"Property '{name}' of type '{meta.typeName()}' does not accept an object of type {type(value).__name__}"
        )


def _is_cpp(cls: type) -> bool:
    return cls in _patched


def _setattr(self: QtCore.QObject, name: str, value: Any) -> None:
    if name == "name":
        name = "objectName"
    if self.metaObject().indexOfProperty(name) >= 0:
        _set_property(self, name, value)
    elif not _is_cpp(type(self)) or (name.startswith("_") and type(self).__module__.startswith(__package__)):
        descriptor = getattr(type(self), name, None)
        if hasattr(descriptor, "__set__"):
            descriptor.__set__(self, value)
        else:
            self.__dict__[name] = value
    elif isinstance(value, QtCore.QObject) and value.objectName == name:
        return  # PySide's QUiLoader wants to put every named child on the root; `childWidgetVariables` is for that
    elif type(value).__name__ == "SignalInstance":
        self.__dict__[name] = value  # PySide keeps the signals of widgets that C++ made here
    elif hasattr(type(self), name):
        raise AttributeError(f"'{name}' can not be overwritten on {type(self).__name__} object")
    else:
        raise AttributeError(
            f"'{name}' does not exist on {type(self).__name__}, and C++ objects get no new attributes from Python"
        )


def _with_text_connect(original: Any) -> Any:
    """PySide finds `connect` before the class does; PythonQt's takes the signal's signature as text."""

    def getattribute(self: QtCore.QObject, name: str) -> Any:
        if name == "connect":
            return functools.partial(_connect, self)
        if name == "disconnect":
            return functools.partial(_disconnect, self)
        return original(self, name)

    return getattribute


def patch_class(cls: type) -> None:
    """Give one QObject class PythonQt's properties; the class must have a `staticMetaObject`."""
    if cls in _patched:
        return
    _patched.add(cls)
    meta_object = cls.staticMetaObject
    for index in range(meta_object.propertyCount()):
        name = meta_object.property(index).name()
        own = index >= meta_object.propertyOffset()
        # a subclass wraps an inherited getter again under its own name: cover that too
        if name not in _VIRTUAL and (own or name in cls.__dict__) and not _is_custom_property(cls, name):
            setattr(cls, name, property(_getter(name), _setter(name)))
    cls.__setattr__ = _setattr
    if "__getattribute__" in cls.__dict__:
        cls.__getattribute__ = _with_text_connect(cls.__getattribute__)


def _is_custom_property(cls: type, name: str) -> bool:
    return isinstance(cls.__dict__.get(name), QtCore.Property)


def _bound_signal(self: QtCore.QObject, signature: str) -> tuple[Any, int]:
    """The signal and the number of arguments that this signature of it carries."""
    aliases = getattr(type(self), "_signal_aliases", {})
    normalized = QtCore.QMetaObject.normalizedSignature(signature).data().decode()
    name, arguments = normalized.rstrip(")").split("(", 1) if "(" in normalized else (normalized, "?")
    count = len(arguments.split(",")) if arguments else 0
    if normalized in aliases:
        return getattr(self, aliases[normalized]), count
    if self.metaObject().indexOfSignal(normalized) < 0:
        raise ValueError(f"signal '{signature}' does not exist on {self.metaObject().className()}")
    return getattr(self, name), count


_adapters: weakref.WeakKeyDictionary[QtCore.QObject, dict[tuple[str, Any], Any]] = weakref.WeakKeyDictionary()


def _connect(self: QtCore.QObject, signal: str, target: Any) -> bool:
    if not callable(target):
        raise TypeError(f"connect: {target!r} is not callable")
    bound, count = _bound_signal(self, signal)
    if count == 0:  # "clicked()" carries nothing although the signal has an argument
        adapter = functools.partial(_call_without_arguments, target)
        _adapters.setdefault(self, {})[signal, target] = adapter
        target = adapter
    return bool(bound.connect(target))


def _call_without_arguments(target: Any, *_dropped: Any) -> None:
    target()


def _disconnect(self: QtCore.QObject, signal: str, target: Any) -> bool:
    bound, _ = _bound_signal(self, signal)
    return bool(bound.disconnect(_adapters.get(self, {}).pop((signal, target), target)))


def make_qt_module() -> ModuleType:
    """Build `qt`: names of QtCore, QtGui, QtWidgets, and QtNetwork, each class patched."""
    module = ModuleType("qt", __doc__)
    for source in (QtCore, QtGui, QtWidgets, QtNetwork):
        for name in dir(source):
            value = getattr(source, name)
            if name.startswith("_") or name in _NOT_IN_PYTHONQT:
                continue
            if isinstance(value, type) and issubclass(value, QtCore.QObject):
                patch_class(value)
            if isinstance(value, type) and name.startswith("Q"):
                setattr(module, name, value)
    module.Qt = QtCore.Qt  # type: ignore[attr-defined]
    QtCore.QObject.name = property(_getter("objectName"), _setter("objectName"))
    QtCore.QObject.className = lambda self: self.metaObject().className()
    return module
