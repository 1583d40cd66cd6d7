from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.shift import harmonise
from slicerxai.shift.harmonise import fit_transport, look_of, transported

SHAPE = (30, 32, 28)


def scanned(seed: int, *, gamma: float = 1.0, blur: float = 0.6, noise: float = 0.02, lesion: float = 2.0) -> Volume:
    """Another patient for each seed: tissue of three classes with fluid and a lesion, through a scanner."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    brain = radius < 12.5
    classes = ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2.0)
    classes /= classes.std()
    signal = np.where(classes > 0.4, 1.25, np.where(classes < -1.3, 0.3, 1.0))
    signal = np.where(np.sqrt(sum((axis - 6) ** 2 for axis in axes)) < lesion, 1.7, signal) ** gamma
    signal = ndimage.gaussian_filter(signal, blur) + noise * rng.standard_normal(SHAPE)
    return Volume(np.where(brain, np.clip(400 * signal, 1, None), 0).astype(np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))


def several(first: int, count: int = 6, **scanner: float) -> list[Volume]:
    return [scanned(first + n, **scanner) for n in range(count)]


def distance(one: harmonise.Look, other: harmonise.Look) -> NDArray[np.float64]:
    return np.abs(
        [
            *np.subtract(one.tone, other.tone),
            *np.subtract(one.edges, other.edges),
            np.log(one.noise / other.noise),
        ]
    )


TONE, EDGES, NOISE = slice(3, 5), slice(5, 8), slice(8, 9)


@pytest.mark.parametrize(
    ("scanner", "what"),
    [
        ({"gamma": 1.4}, TONE),
        ({"gamma": 0.75}, TONE),
        ({"blur": 1.1}, EDGES),
        ({"blur": 0.45}, EDGES),
        ({"noise": 0.06}, NOISE),
        ({"noise": 0.01}, NOISE),
    ],
    ids=lambda value: ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_transport_brings_the_look_nearer_without_paired_patients(scanner: dict[str, float], what: slice) -> None:
    transport = fit_transport(several(0), several(100, **scanner))
    fresh = several(50)
    wanted = look_of(several(50, **scanner))
    before = distance(look_of(fresh), wanted)
    after = distance(look_of([transported(image, transport, seed=n) for n, image in enumerate(fresh)]), wanted)
    assert after[what].mean() < 0.5 * before[what].mean()
    assert (after < before + 0.25).all()


def test_the_transported_image_is_nearer_to_the_same_patient_in_the_other_scanner() -> None:
    scanner = {"gamma": 1.35, "blur": 0.9, "noise": 0.004}
    transport = fit_transport(several(0, noise=0.004), several(100, **scanner))
    for seed in (50, 51, 52):
        own, other = scanned(seed, noise=0.004), scanned(seed, **scanner)
        moved = transported(own, transport, seed=0)
        inside = other.array > 0
        error = [np.abs(image.array - other.array)[inside].mean() for image in (own, moved)]
        assert error[1] < 0.6 * error[0]


def test_environments_of_one_scanner_change_little() -> None:
    transport = fit_transport(several(0, 10), several(100, 10))
    image = scanned(50)
    moved = transported(image, transport, seed=0)
    inside = image.array > 0
    assert np.abs(moved.array - image.array)[inside].mean() < 0.03 * np.median(image.array[inside])


def test_a_difference_in_lesion_load_is_not_taken_for_tone() -> None:
    transport = fit_transport(several(0, 10), several(100, 10, lesion=4.0))
    image = scanned(50)
    lesion = image.array > 600
    moved = transported(image, transport, seed=0)
    assert moved.array[lesion].mean() == pytest.approx(image.array[lesion].mean(), rel=0.05)


def test_tone_curve_plainly() -> None:
    source = np.log([0.4, 0.8, 1.0, 1.2, 1.3])
    target = np.log([0.3, 0.8, 1.0, 1.3, 1.5])
    values = np.array([0.2, 0.4, 0.9, 1.0, 1.25, 2.0])
    found = harmonise._toned(values, source, target)
    power = np.log(1.5) / np.log(1.3)
    between = np.exp(
        np.log(1.3) + (np.log(1.25) - np.log(1.2)) / (np.log(1.3) - np.log(1.2)) * (np.log(1.5) - np.log(1.3))
    )
    middle = 0.8 * (1.0 / 0.8) ** (np.log(0.9 / 0.8) / np.log(1.0 / 0.8))
    np.testing.assert_allclose(found, [0.15, 0.3, middle, 1.0, between, 1.5 * (2.0 / 1.3) ** power], rtol=1e-4)


def test_result_keeps_background_and_positive_values_and_depends_on_the_seed_alone() -> None:
    transport = fit_transport(several(0, 3), several(100, 3, noise=0.08))
    image = scanned(50)
    one, again, other = (transported(image, transport, seed=seed).array for seed in (1, 1, 2))
    assert ((one > 0) == (image.array > 0)).all()
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_what_cannot_be_matched_is_said() -> None:
    transport = fit_transport(several(0, 3, blur=1.6), several(100, 3, blur=0.0))
    assert any("resolution" in limit for limit in transport.limits)
    assert fit_transport(several(0, 10), several(100, 10)).limits == ()


def test_digest_tells_transports_apart() -> None:
    one, other = fit_transport(several(0, 3), several(100, 3)), fit_transport(several(0, 3), several(10, 3))
    assert one.digest != other.digest
    assert one.digest == fit_transport(several(0, 3), several(100, 3)).digest


def test_bad_input() -> None:
    with pytest.raises(InputError, match="at least one"):
        fit_transport([], several(0, 1))
    with pytest.raises(InputError, match="median"):
        look_of([scanned(0).with_array(-scanned(0).array)])
