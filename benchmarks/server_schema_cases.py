"""What the requests of `server_schema` are made of beside what the OpenAPI document lets one guess.

A generator that knows only the document names images and models that do not exist, so that every request ends at the
first check. Some of its values are therefore replaced by ones that exist, and by ones that an attacker would try.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import requests

MARK = "escaped"
"""Part of the name of every file that a hostile value would make."""


@dataclass(frozen=True)
class Known:
    """Values of the running server: what it has by parameter name, and the content of a good image and label."""

    values: Mapping[str, tuple[str, ...]]
    files: tuple[bytes, ...]
    secret: str

    def hostile(self) -> tuple[str, ...]:
        """Paths, separators, control characters, other encodings, formats, very long and empty text."""
        return (
            *(f"../{MARK}", f"..%2f{MARK}", f"/tmp/{MARK}", f"..\\{MARK}", f"{MARK}\0", f"{MARK}\r\nX-Evil: 1"),
            *(self.secret, "file:///etc/passwd", ".", "..", "...", "", " ", MARK + "a" * 5000, f'{MARK}"; x="'),
            *(f"$(touch {MARK})", f"|touch {MARK}", "%s%n%x", "{{7*7}}", "-rf", "NUL", "💥", "é" * 90, "' OR 1=1 --"),
        )

    def objects(self) -> tuple[str, ...]:
        """JSON for the form fields `params` and `info`."""
        return (
            *("{}", "[]", "null", '"', "[" * 2000, '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"": {"": []}}'),
            *(json.dumps({key: self.secret}) for key in ("image", "label", "path", "session", "model_filename")),
            json.dumps({"save_label": True, "label_tag": f"../{MARK}"}),
            json.dumps({"save_label": True, "label_tag": "drawn", "result_extension": ".nrrd"}),
            json.dumps({"result_extension": f"/../{MARK}.nii.gz", "result_dtype": "x", "device": "cuda:99"}),
            json.dumps({"comment": "x" * 20_000, "ts": -1}),
        )


def changed(values: Any, known: Known, dice: random.Random) -> None:
    """Replace some values of a request's path, query or body by known and by hostile ones, in place."""
    if not isinstance(values, MutableMapping):
        return
    for key in list(values):
        if not isinstance(values[key], str | int | None):
            continue
        if key in {"params", "info"} and dice.random() < 0.8:
            values[key] = dice.choice(known.objects())
        elif key in known.values and dice.random() < 0.75:
            values[key] = dice.choice(known.values[key] if dice.random() < 0.7 else known.hostile())
        elif isinstance(values[key], str) and dice.random() < 0.15:
            values[key] = dice.choice(known.hostile())


def printable(values: Any) -> None:
    """Take out of a path or query, in place, what the server refuses in all of them before it looks at the rest."""
    if isinstance(values, MutableMapping):
        for key in list(values):
            text = values[key]
            if isinstance(text, str):
                values[key] = "".join(one for one in text if ord(one) >= 32 and one not in "\x7f\\") or "x"


def explain_body(known: Known, dice: random.Random) -> dict[str, Any]:
    """A body of `POST /explain/{method}` that comes further than the checks of the document, mostly."""

    def some(name: str) -> str:
        return dice.choice(known.values[name] if dice.random() < 0.7 else known.hostile())

    body: dict[str, Any] = dice.choice(
        [
            {"image": some("image")},
            {"session": some("session_id")},
            {"cohort": some("cohort"), "case": some("case")},
            {"cohort": some("cohort")},
            {"images": {"FLAIR": some("image")}, "sequence": [some("image"), "two"]},
        ]
    )
    if dice.random() < 0.3:
        odd: list[Any] = [-1, 0, 10**9, 1e308, None, True, [], {}, "", [[1, 2, 3]], *known.hostile()]
        names = ("method", "point", "target", "samples", "layer", "seed", "threshold", "properties", "source", "raters")
        body["parameters"] = {dice.choice(names): dice.choice(odd)}
    return body


class Sender(requests.Session):
    """Sends uploads under names that image files have, or that an attacker would give, some with good content."""

    def __init__(self, known: Known, seed: str) -> None:
        super().__init__()
        self.known, self.dice = known, random.Random(seed)

    def request(self, method: Any, url: Any, *arguments: Any, files: Any = None, **options: Any) -> requests.Response:
        pairs = list(files.items()) if isinstance(files, dict) else list(files or ())
        named = [(name, self._named(value)) for name, value in pairs]
        return super().request(method, url, *arguments, files=named or None, **options)  # type: ignore[misc]

    def _named(self, value: Any) -> Any:
        parts = list(value) if isinstance(value, tuple) else ["file", value]
        if parts[0] is None:  # a field of the form, no file
            return tuple(parts)
        names = ("x.nii.gz", "x.nrrd", "FLAIR.nii.gz", f"../{MARK}.nii.gz", f"{MARK}.zip", *self.known.hostile())
        parts[0] = self.dice.choice(names[:3]) if self.dice.random() < 0.7 else self.dice.choice(names)
        if self.dice.random() < 0.6:
            content = self.dice.choice(self.known.files)
            cut = self.dice.choice([len(content), len(content), self.dice.randrange(len(content))])
            parts[1] = content[:cut]
            if content[:2] == b"\x1f\x8b" and self.dice.random() < 0.8:
                parts[0] = "x.nii.gz"
        return tuple(parts)
