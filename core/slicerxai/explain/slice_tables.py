"""The slices of a report: which maps are drawn beside which, and as large as the page's size allows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slicerxai.explain.colours import Heat, colour_bar
from slicerxai.explain.contract import Explanation
from slicerxai.explain.slices import PLANES, Outline, Scene, Slice, pick, render_png, scenes

MAX_PICTURE_BYTES = 2_700_000
"""Of all slices together, before base64 adds a third: the page stays within about 4 MB."""
PANEL_SIZES = (460, 380, 300, 220, 150)
MAX_MAPS = 4


@dataclass(frozen=True)
class Panel:
    """One picture of a row."""

    src: str
    alt: str


@dataclass(frozen=True)
class Row:
    """One slice in all columns."""

    title: str
    reason: str
    panels: list[Panel]


@dataclass(frozen=True)
class ColourScale:
    """A map's colours."""

    heat: Heat
    src: str


@dataclass(frozen=True)
class SliceTable:
    """Slices with the legend of their columns."""

    title: str
    columns: list[str]
    rows: list[Row]
    legend: list[Outline]
    scales: list[ColourScale]
    oblique: float


@dataclass(frozen=True)
class _Column:
    """What one column draws of a scene."""

    scene: Scene
    outlines: bool
    heat: bool

    @property
    def head(self) -> str:
        if self.heat and self.scene.heat is not None:
            return self.scene.heat.name
        return f"{self.scene.name} with {_names(self.scene)}" if self.outlines else self.scene.name

    def picture(self, at: Slice, longest: int) -> bytes:
        return render_png(self.scene, at, outlines=self.outlines, heat=self.heat, longest=longest)

    def panel(self, at: Slice, content: bytes) -> Panel:
        what = f"{self.scene.name} with outlines of {_names(self.scene)}" if self.outlines else self.scene.name
        if self.heat and self.scene.heat is not None:
            what = f"{self.scene.heat.name} over {self.scene.name}"
        return Panel(data_uri(content), alt=f"{at.plane.capitalize()} slice at {at.place}: {what} ({at.reason})")


@dataclass(frozen=True)
class _Plan:
    """A table before it is drawn; `guide` is the scene whose strongest slices are picked."""

    title: str
    guide: Scene
    columns: list[_Column]

    @property
    def heats(self) -> list[Heat]:
        return [column.scene.heat for column in self.columns if column.heat and column.scene.heat is not None]


def slice_tables(explanation: Explanation) -> list[SliceTable]:
    """One table a map; maps of several classes over one image stand side by side in one."""
    plans = _plans(scenes(explanation)[:MAX_MAPS])
    count = 2 if len(plans) < 3 else 1
    picks = [(plan, at) for plan in plans for plane in PLANES for at in pick(plan.guide, plane, count)]
    for longest in PANEL_SIZES:
        pictures = [[(column, column.picture(at, longest)) for column in plan.columns] for plan, at in picks]
        if sum(len(content) for row in pictures for _, content in row) <= MAX_PICTURE_BYTES:
            break
    rows = [
        (
            plan,
            Row(
                f"{at.plane.capitalize()} at {at.place}",
                at.reason,
                [column.panel(at, content) for column, content in row],
            ),
        )
        for (plan, at), row in zip(picks, pictures, strict=True)
    ]
    return [_table(plan, [row for owner, row in rows if owner is plan]) for plan in plans]


def data_uri(content: bytes) -> str:
    """A PNG as the address of an <img>."""
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")


def _plans(shown: Sequence[Scene]) -> list[_Plan]:
    maps = [scene for scene in shown if scene.heat is not None and not scene.outlines]
    if len(maps) == len(shown) > 1 and len({scene.name for scene in shown}) == 1:
        maps = _same_colours(maps)
        first = maps[0]
        columns = [_Column(first, outlines=False, heat=False)]
        columns += [_Column(scene, outlines=False, heat=True) for scene in maps]
        return [_Plan(f"Maps on {first.name}", _together(maps), columns)]
    return [_plan(scene) for scene in shown]


def _plan(scene: Scene) -> _Plan:
    columns = [_Column(scene, outlines=False, heat=False)]
    if scene.outlines:
        columns.append(_Column(scene, outlines=True, heat=False))
    if scene.heat is None:
        return _Plan(scene.name, scene, columns)
    columns.append(_Column(scene, outlines=True, heat=True))
    return _Plan(f"{scene.heat.name} on {scene.name}", scene, columns)


def _same_colours(maps: Sequence[Scene]) -> list[Scene]:
    """With the colours for and against in all maps when one of them needs both."""
    heats = [scene.heat for scene in maps if scene.heat is not None]
    if not any(heat.diverging for heat in heats):
        return list(maps)
    return [replace(scene, heat=replace(heat, low=-heat.high)) for scene, heat in zip(maps, heats, strict=True)]


def _together(maps: Sequence[Scene]) -> Scene:
    """A scene whose map is strong where any of the maps is, each measured by its own colours' limit."""
    heats = [scene.heat for scene in maps if scene.heat is not None]
    total = np.sqrt(sum(np.square(heat.array / (heat.high or 1.0)) for heat in heats)).astype(np.float32)
    return replace(maps[0], heat=replace(heats[0], name="maps together", array=total))


def _table(plan: _Plan, rows: list[Row]) -> SliceTable:
    return SliceTable(
        title=plan.title,
        columns=[column.head for column in plan.columns],
        rows=rows,
        legend=list(plan.guide.outlines),
        scales=[ColourScale(heat, data_uri(colour_bar(heat))) for heat in plan.heats],
        oblique=plan.guide.oblique,
    )


def _names(scene: Scene) -> str:
    return ", ".join(outline.name for outline in scene.outlines)
