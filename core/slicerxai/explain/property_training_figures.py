"""Property gradients over the epochs of a training, as a table and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from slicerxai.explain.contract import Figure, Table
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.interventions.path import GradualPath
from slicerxai.interventions.training_analysis import effect_over_training
from slicerxai.models.protocols import Model
from slicerxai.progress import Progress, each, silent

COLUMNS: Final = ("property", "title", "epoch", "output", "mean_abs_gradient", "over_range", "mean_gradient", "flips")
STYLES: Final = ("-", "--", ":", "-.")


def training_table(model: Model, paths: Sequence[GradualPath], progress: Progress = silent) -> Table:
    """One row for each property, snapshot and output; units as in the table "effects".

    Raises:
        InputError: the model kept no snapshots, or as the paths. Cancelled: through `progress`.
    """
    rows: list[list[str | int | float | bool | None]] = []
    for path, now in each(progress, list(paths)):
        found, info = effect_over_training(path, model, now), path.property.info
        for epoch, effect in zip(found.epochs, found.effects, strict=True):
            rows += [
                [
                    info.name,
                    info.title,
                    epoch,
                    output.name,
                    float(effect.mean_abs_gradient[n]),
                    float(effect.over_range[n]),
                    float(effect.mean_gradient[n]),
                    len(effect.flips[n]),
                ]
                for n, output in enumerate(found.outputs)
            ]
    return Table(title="Effects over the training", columns=list(COLUMNS), rows=rows)


def training_figure(table: Table, output: str) -> Figure:
    """E|∇| over the range at each snapshot, a line for each property; dots where the decision flips on the path.

    Args:
        table: of `training_table`. output: name of the one that is drawn.
    """
    column = {name: n for n, name in enumerate(table.columns)}
    canvas = Canvas(figsize=(6.8, 3.6), dpi=DPI, layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots()
    shown = [row for row in table.rows if row[column["output"]] == output]
    for n, title in enumerate(dict.fromkeys(str(row[column["title"]]) for row in shown)):
        rows = [row for row in shown if row[column["title"]] == title]
        epochs = [_number(row[column["epoch"]]) for row in rows]
        sizes = [_number(row[column["over_range"]]) for row in rows]
        colour, style = COLOURS[n % len(COLOURS)], STYLES[n // len(COLOURS) % len(STYLES)]
        axes.plot(epochs, sizes, style, color=colour, linewidth=1.8, label=title)
        turned = [(at, size) for at, size, row in zip(epochs, sizes, rows, strict=True) if row[column["flips"]]]
        axes.plot([at for at, _ in turned], [size for _, size in turned], "o", color=colour, markersize=5)
    axes.set_xlabel("epoch (0: before training)", color=TEXT)
    axes.set_ylabel("E|∇| over the range", color=TEXT)
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(colors=SOFT)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    words = f"Effect on {output} over the training. Dots: the decision flips somewhere along the property."
    return Figure(png(canvas), words)


def _number(value: str | int | float | bool | None) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
