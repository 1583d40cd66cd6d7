"""Control paths keep what they promise; the test against them keeps its level."""

import numpy as np
import pytest
import torch

from slicerxai.errors import Cancelled, InputError
from slicerxai.interventions.control_paths import ControlPaths, control_test


def path_of(grid, channels=1, seed=0):
    """A start image and a course that bends, with steps of very different size."""
    generator = torch.Generator().manual_seed(seed)
    start, first, second = torch.randn((3, channels, *grid), generator=generator, dtype=torch.float64)
    steps = torch.tensor([-1.0, 0.0, 0.1, 2.0]).reshape(-1, *([1] * (len(grid) + 1)))
    return start, start + steps * first + steps**2 * second


@pytest.mark.parametrize(("grid", "channels"), [((16, 16), 3), ((8, 16, 12), 1)])
def test_size_and_course_are_those_of_the_path(grid, channels):
    start, path = path_of(grid, channels)
    control = ControlPaths(start, path).draw(torch.Generator().manual_seed(1))
    change, other = (path - start).flatten(1), (control - start).flatten(1)
    for i in range(4):
        for j in range(4):
            assert float(other[i] @ other[j]) == pytest.approx(float(change[i] @ change[j]), rel=1e-5, abs=1e-9)
    assert abs(float(other[3] @ change[3])) < 0.3 * float(change[3] @ change[3])
    assert torch.equal(control[1], start)


def test_place_of_texture_and_smoothness_are_kept():
    axis, generator = torch.arange(64.0), torch.Generator().manual_seed(0)
    distance = ((axis[:, None] - 20) ** 2 + (axis[None] - 44) ** 2).sqrt()
    bump, start = torch.exp(-(distance**2) / (2 * 6.0**2))[None], torch.rand(1, 64, 64)

    def drawn(change):
        return ControlPaths(start, start + change[None]).draws(30, generator)[:, 0] - start

    def roughness(change):
        return float((change.diff(dim=-1).square().sum((1, 2, 3)) / change.square().sum((1, 2, 3))).median())

    texture = bump * torch.randn(1, 64, 64, generator=generator)
    energy = drawn(texture).square()
    assert float((energy * (distance < 24)).sum() / energy.sum()) > 0.95
    assert roughness(drawn(texture)) == pytest.approx(roughness(texture[None]), rel=0.3)
    assert roughness(drawn(bump)) < 6 * roughness(bump[None])
    assert roughness(drawn(bump)) < 0.1 * roughness(texture[None])


def test_background_stays_and_steps_keep_their_norm():
    start = torch.zeros(1, 24, 24, 20)
    start[:, 5:20, 4:19, 3:15] = torch.rand(15, 15, 12) + 0.5
    path = torch.stack([torch.where(start > 0, start**power, start) for power in (0.6, 0.8, 1.0, 1.6)])
    control = ControlPaths(start, path).draw(torch.Generator().manual_seed(0))
    assert (control[:, start == 0] == 0).all()
    change, other = (path - start).flatten(1), (control - start).flatten(1)
    torch.testing.assert_close(other.norm(dim=1), change.norm(dim=1), rtol=1e-4, atol=1e-6)
    cosine = float(other[0] @ other[3] / other[0].norm() / other[3].norm())
    assert cosine == pytest.approx(float(change[0] @ change[3] / change[0].norm() / change[3].norm()), abs=0.05)


def test_draws_repeat_with_the_seed_and_differ_without():
    start, path = path_of((16, 16))
    one, again, other = (ControlPaths(start, path).draw(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    controls, generator = ControlPaths(start, path), torch.Generator().manual_seed(1)
    assert torch.equal(controls.draw(generator), one)
    assert not torch.allclose(controls.draw(generator), one)
    several, norms = controls.draws(3, generator), (path - start).flatten(1).norm(dim=1)
    assert several.shape == (3, *path.shape)
    torch.testing.assert_close((several - start).flatten(2).norm(dim=2), norms.expand(3, -1))
    assert not torch.allclose(several[0], several[1])


def test_a_constant_change_gets_random_directions():
    start = torch.rand(1, 32, 32)
    controls = ControlPaths(start, start[None] + 1)
    generator = torch.Generator().manual_seed(0)
    means = (controls.draws(300, generator)[:, 0] - start).mean((1, 2, 3))
    # the mean is one of the four coordinates of a random direction: its expected square is 1/4
    assert float(means.square().mean()) == pytest.approx(0.25, abs=0.05)
    assert float((means.abs() > 0.97).float().mean()) < 0.03


def test_p_is_uniform_where_the_change_is_as_random_as_its_controls():
    """A linear reading of a change drawn from the very family: exact for any reading and any spectrum."""
    generator = torch.Generator().manual_seed(0)
    start, reading = torch.zeros(1, 8, 8), torch.randn(64, generator=generator).cumsum(0)
    pattern = torch.randn(1, 8, 8, generator=generator).cumsum(1)
    start[0, 0, 0] = 1e-3
    ranks = []
    for _ in range(150):
        path = ControlPaths(start, start + pattern[None]).draw(generator)
        controls = ControlPaths(start, path)
        own = ((path[0] - start).flatten() @ reading).abs()
        found = ((controls.draws(9, generator)[:, 0] - start).flatten(1) @ reading).abs()
        ranks.append(int((found >= own).sum()))
    counts = np.bincount(ranks, minlength=10)
    assert ((counts - 15) ** 2 / 15).sum() < 27.9  # 99.9 % of chi-squared with 9 degrees of freedom


def test_shapes_must_fit():
    with pytest.raises(InputError, match="does not start"):
        ControlPaths(torch.zeros(1, 4, 4), torch.zeros(3, 1, 4, 5))


def slow_sequential(own, found, most, stop):
    """Besag and Clifford (1991), section 3, for one output."""
    exceedances = 0
    for count, value in enumerate(found[:most], 1):
        exceedances += value >= own
        if stop is not None and exceedances == stop:
            return stop / count, exceedances
    return (exceedances + 1) / (most + 1), exceedances


@pytest.mark.parametrize("stop", [None, 1, 3])
def test_p_of_controls_against_a_loop(stop):
    generator = np.random.default_rng(0)
    own, found = np.array([0.2, 0.9, 3.0]), np.abs(generator.normal(size=(40, 3)))
    test = control_test(own, found.__getitem__, 40, stop_after=stop)
    for n in range(3):
        assert (test.p[n], test.exceedances[n]) == slow_sequential(own[n], found[:, n], 40, stop)
    assert test.drawn == 40
    assert test.resolution == 1 / 41


def test_drawing_ends_when_every_output_has_its_exceedances():
    asked = []

    def control(index):
        asked.append(index)
        return np.array([1.0, 1.0])

    test = control_test(np.array([0.0, 1.0]), control, 100, stop_after=4)
    assert asked == [0, 1, 2, 3]
    assert test.drawn == 4
    assert (test.p == 1).all()


@pytest.mark.parametrize("stop", [None, 2])
def test_level(stop):
    values = np.abs(np.random.default_rng(1).normal(size=(20, 3000)))
    p = control_test(values[0], values[1:].__getitem__, 19, stop_after=stop).p
    for level in (0.05, 0.1, 0.5):
        assert (p <= level).mean() <= level + 0.03


def test_progress_cancels_and_bad_statistics_are_refused():
    def cancel(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        control_test(np.zeros(1), lambda _: np.zeros(1), 5, progress=cancel)
    with pytest.raises(InputError, match="control 1"):
        control_test(np.zeros(1), lambda _: np.array([np.nan]), 5)
    with pytest.raises(InputError, match="at least 1 control"):
        control_test(np.zeros(1), lambda _: np.zeros(1), 0)
