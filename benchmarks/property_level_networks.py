"""Level and power of the test against control paths on networks that were trained here.

Images: 32 × 32, a smooth random texture with noise. A label depends on one property of them alone, whose amount a is
uniform in [−1, 1] and whose sign is the label: the amplitude of a fixed pattern T – a blob, a smooth random pattern,
stripes, fine local texture, an offset – or of the image's own contrast. For each, two architectures (average over all
places; weights for every place) are trained with two seeds: 24 networks. They are not told anything of the tests.

Null: the labels do not depend on the property. Its path goes from −1 to 1 along a random pattern P, drawn for each
trial. As much of T is taken out of it as makes it worth nothing to an ideal observer of the label: the likelihood ratio
of textures with covariance Σ reads T'Σ⁻¹x, so P loses (T'Σ⁻¹P / T'Σ⁻¹T) T and is unrelated by construction. (Making P
and T orthogonal as images is not enough: a smooth P that overlaps with T, which to the observer is hardly evidence,
would be given a good deal of −T. The first version of this benchmark did that.) Two rows leave the overlap of random
patterns in: there some rejections are right. P is white noise; a smooth Gaussian field of standard width 1, 2 or 4
pixels; such a field within a random window; or a course that bends from one field to another. Planted: the path goes
along T (or scales the contrast). All changes have the same root mean square as the texture's, over the image (local
ones: half), and are as large as those that the labels depended on.

Each path starts at an image of its own, is realised at 5 values, and is read by the four networks of its label; its
99 controls are drawn from the path itself. Statistic: mean |F(x) − F(unchanged)| of the probability. The family of
controls and this statistic were chosen on other networks, patterns and images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from slicerxai.interventions.control_paths import ControlPaths, control_test
from slicerxai.interventions.effect import departure
from slicerxai.progress import Progress

Array = NDArray[np.float64]
SIZE = 32
AMPLITUDE = 0.8
TASKS = ("blob", "smooth pattern", "stripes", "local texture", "offset", "contrast")
NULLS = ("white noise", "smooth, 1 px", "smooth, 2 px", "smooth, 4 px", "local", "bending course")
VALUES = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0])
CONTROLS = 99


@dataclass(frozen=True)
class Task:
    """What a label depends on, and the networks that learned it.

    Attributes:
        pattern: (1, SIZE, SIZE); None for contrast.
        accuracy: of each network on new images.
    """

    name: str
    pattern: Tensor | None
    networks: tuple[nn.Module, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class Trials:
    """Tests of paths R by networks M: p (R, M), and whether the prediction crossed 0.5."""

    p: Array
    flips: NDArray[np.bool_]


def field(width: float, count: int, generator: Generator) -> Tensor:
    """White noise smoothed by a Gaussian (periodic), (count, 1, SIZE, SIZE), standard deviation 1."""
    frequency = torch.fft.fftfreq(SIZE)
    kernel = torch.exp(-2 * (math.pi * width) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    noise = torch.randn((count, 1, SIZE, SIZE), generator=generator)
    found = torch.fft.ifft2(torch.fft.fft2(noise) * kernel).real
    return found / found.std((1, 2, 3), keepdim=True)


def images(count: int, generator: Generator) -> Tensor:
    """Textures with noise, (count, 1, SIZE, SIZE)."""
    noise = torch.randn((count, 1, SIZE, SIZE), generator=generator)
    return 0.8 * field(2, count, generator) + 0.5 * noise


def window(width: float, generator: Generator) -> Tensor:
    """Gaussian window around a random place, (SIZE, SIZE)."""
    centre = torch.rand(2, generator=generator) * SIZE / 2 + SIZE / 4
    axis = torch.arange(SIZE)
    squared = (axis[:, None] - centre[0]) ** 2 + (axis[None] - centre[1]) ** 2
    return torch.exp(-squared / (2 * width**2))


def scaled(pattern: Tensor, size: float = 1.0) -> Tensor:
    """With this root mean square over the image."""
    return pattern / pattern.square().mean().sqrt() * size


def planted(name: str, generator: Generator) -> Tensor | None:
    """The pattern T of a task, (1, SIZE, SIZE)."""
    if name == "blob":
        return scaled(window(2.5, generator)[None], 0.5)
    if name == "smooth pattern":
        return scaled(field(3, 1, generator)[0])
    if name == "stripes":
        angle = torch.rand((), generator=generator) * math.pi
        axis = torch.arange(SIZE)
        along = axis[:, None] * torch.cos(angle) + axis[None] * torch.sin(angle)
        return scaled(torch.sin(2 * math.pi * 0.15 * along)[None])
    if name == "local texture":
        return scaled(field(1, 1, generator)[0] * window(5, generator), 0.5)
    return torch.full((1, SIZE, SIZE), 0.7) if name == "offset" else None


def directions(name: str, generator: Generator) -> tuple[Tensor, Tensor]:
    """Random patterns of a null: the course is value times the first, plus squared value times the second."""
    nothing = torch.zeros(1, SIZE, SIZE)
    if name == "white noise":
        return scaled(torch.randn((1, SIZE, SIZE), generator=generator)), nothing
    if name == "local":
        return scaled(field(2, 1, generator)[0] * window(5, generator), 0.5), nothing
    if name == "bending course":
        return scaled(field(2, 1, generator)[0]), scaled(field(2, 1, generator)[0])
    return scaled(field(float(name.split()[1]), 1, generator)[0]), nothing


def changed(image: Tensor, amounts: Tensor, pattern: Tensor | None) -> Tensor:
    """Images (B, 1, SIZE, SIZE) with these amounts (B,) of a task's property."""
    amount = AMPLITUDE * amounts.reshape(-1, 1, 1, 1)
    if pattern is not None:
        return image + amount * pattern
    return image + amount * (image - image.mean((-2, -1), keepdim=True))


def network(everywhere: bool) -> nn.Sequential:
    """A small CNN with one logit; its head averages over all places, or has weights for each."""
    body = [nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, 1, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 1)]
    return nn.Sequential(*body, nn.ReLU(), *(head if everywhere else [nn.Flatten(), nn.Linear(12 * 64, 1)]))


def trained(everywhere: bool, pattern: Tensor | None, seed: int, steps: int = 250) -> tuple[nn.Module, float]:
    """A network for a task, and its accuracy on 1000 new images."""
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed + 1)
    model, stock = network(everywhere), images(2000, generator)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        amounts = torch.rand(48, generator=generator) * 2 - 1
        batch = stock[torch.randint(len(stock), (48,), generator=generator)]
        logits = model(changed(batch, amounts, pattern))[:, 0]
        loss = functional.binary_cross_entropy_with_logits(logits, (amounts > 0).float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    amounts = torch.rand(1000, generator=generator) * 2 - 1
    with torch.inference_mode():
        right = (model(changed(images(1000, generator), amounts, pattern))[:, 0] > 0) == (amounts > 0)
    return model.eval(), float(right.float().mean())


def tasks(progress: Progress, seeds: Sequence[int] = (0, 1)) -> Iterator[Task]:
    """Train the networks of every task."""
    for number, name in enumerate(TASKS):
        progress(number / len(TASKS), f"networks that depend on: {name}")
        pattern = planted(name, Generator().manual_seed(9300 + number))
        fits = [
            trained(everywhere, pattern, 7600 + 10 * number + seed) for everywhere in (True, False) for seed in seeds
        ]
        yield Task(name, pattern, tuple(model for model, _ in fits), tuple(accuracy for _, accuracy in fits))


Draw = Callable[[Tensor, Tensor, Generator], Tensor]
"""From (start, path, generator) to control paths (CONTROLS, steps, 1, SIZE, SIZE)."""


def wavelet_rotations(start: Tensor, path: Tensor, generator: Generator) -> Tensor:
    """The controls of the product."""
    return ControlPaths(start, path).draws(CONTROLS, generator)


def smooth_signs(start: Tensor, path: Tensor, generator: Generator) -> Tensor:
    """For comparison: the change times the signs of a Gaussian field as smooth as the change."""
    change = path - start
    power = torch.fft.fft2(change[-1, 0]).abs() ** 2
    frequency = torch.fft.fftfreq(SIZE)
    squared = frequency[:, None] ** 2 + frequency[None] ** 2
    width = 1 / (2 * math.pi * math.sqrt(float((power * squared).sum() / power.sum()) + 1e-6))
    return start + change * field(width, CONTROLS, generator).sign()[:, None]


def random_phases(start: Tensor, path: Tensor, generator: Generator) -> Tensor:
    """For comparison: the change with its power spectrum, and random phases."""
    noise = torch.fft.fft2(torch.randn((CONTROLS, 1, 1, SIZE, SIZE), generator=generator))
    return start + torch.fft.ifft2(torch.fft.fft2(path - start) * noise / noise.abs()).real


def null_path(task: Task, name: str, generator: Generator, overlap: bool = False) -> tuple[Tensor, Tensor]:
    """A start image, and a path from it that has nothing to do with what the task's labels depend on.

    With `overlap`, patterns stay as they were drawn.
    """
    start = images(1, generator)[0]
    learned = start - start.mean() if task.pattern is None else task.pattern
    read = evidence(learned)
    parts = []
    for one in directions(name, generator):
        without = one if overlap else one - (one * read).sum() / (learned * read).sum() * learned
        parts.append(scaled(without, float(one.square().mean().sqrt())) if one.any() else one)
    steps = VALUES.reshape(-1, 1, 1, 1)
    return start, start + AMPLITUDE * (steps * parts[0] + steps**2 * parts[1])


def evidence(pattern: Tensor) -> Tensor:
    """Σ⁻¹T for the covariance of `images`, (1, SIZE, SIZE)."""
    frequency = torch.fft.fftfreq(SIZE)
    kernel = torch.exp(-2 * (math.pi * 2) ** 2 * (frequency[:, None] ** 2 + frequency[None] ** 2))
    spectrum = 0.8**2 * kernel**2 / kernel.square().mean() + 0.5**2
    return torch.fft.ifft2(torch.fft.fft2(pattern) / spectrum).real


def planted_path(task: Task, generator: Generator) -> tuple[Tensor, Tensor]:
    """A start image, and the path along what the task's labels depend on."""
    start = images(1, generator)[0]
    return start, changed(start, VALUES, task.pattern)


def tested(
    task: Task, paths: Callable[[Generator], tuple[Tensor, Tensor]], count: int, seed: int, draw: Draw
) -> Trials:
    """Test so many paths of a task on its networks."""
    ps, flips = [], []
    for number in range(count):
        generator = Generator().manual_seed(1_000_000 * seed + number)
        start, path = paths(generator)
        found = _read(task.networks, start, torch.cat([path[None], draw(start, path, generator)]))
        statistics = [departure(one[1:], one[0]) for one in found]
        test = control_test(statistics[0], statistics[1:].__getitem__, CONTROLS)
        ps.append(test.p)
        flips.append((found[0][1:].max(0) >= 0.5) & (found[0][1:].min(0) < 0.5))
    return Trials(np.stack(ps), np.stack(flips))


def _read(networks: Sequence[nn.Module], start: Tensor, paths: Tensor) -> Array:
    """Probabilities of each network, (paths, 1 + steps, networks), that of the unchanged image first."""
    moved = [step for step, value in enumerate(VALUES.tolist()) if value != 0]
    with torch.inference_mode():
        flat = torch.cat([start[None], paths[:, moved].flatten(0, 1)])
        found = torch.stack([torch.sigmoid(one(flat)[:, 0].double()) for one in networks], 1)
    steps = found[1:].unflatten(0, (len(paths), len(moved)))
    unchanged = found[:1].expand(len(paths), 1, -1)
    return torch.cat([unchanged, steps[:, :2], unchanged, steps[:, 2:]], 1).numpy()
