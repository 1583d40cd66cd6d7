from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Generator

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.metrics import dice
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, ConflictError, InputError, NotFoundError
from slicerxai.models.augmentation import augment, random_grid, sample
from slicerxai.models.fast import FastConfig
from slicerxai.models.fast_parameters import FastTrainingParameters
from slicerxai.models.fast_training import schedule
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.store import ModelStore, digest
from slicerxai.models.training import train
from slicerxai.models.training_case import case_digests, held_out, load_case, random_batch
from slicerxai.progress import silent

CPU = torch.device("cpu")
QUICK = FastTrainingParameters(
    spacing=2.0, patch=16, features=(8, 16), batch=4, steps=80, lr=1e-2, augmentation=0.2, precision="float32"
)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Six scans of three subjects: bright spots in an ellipsoid, 2 mm, masks flipped against the images' storage."""
    folder, shape = tmp_path_factory.mktemp("cases"), (24, 28, 22)
    made = []
    for index in range(6):
        rng = np.random.default_rng(index)
        grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
        inside = (grid**2).sum(0) < 0.8
        field = ndimage.gaussian_filter(rng.standard_normal(shape), 2.0)
        lesion = (field > np.quantile(field, 0.95)) & inside
        image = np.where(inside, 100 + 8 * rng.standard_normal(shape) + 40 * lesion, 0).astype(np.float32)
        affine = np.diag([2.0, 2.0, 2.0, 1.0])
        write_volume(folder / f"{index}.nii.gz", Volume(image, affine))
        flipped = affine @ np.array([[-1.0, 0, 0, shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        write_volume(folder / f"{index}_mask.nii.gz", Volume(lesion[::-1].astype(np.uint8), flipped))
        made.append(
            Case(
                id=f"scan{index}",
                images={"FLAIR": folder / f"{index}.nii.gz"},
                masks={"1": folder / f"{index}_mask.nii.gz"},
                metadata={"subject": f"s{index // 2}"},
            )
        )
    return made


def cancel_at(step: int):
    def progress(fraction: float, message: str) -> None:
        if message.startswith(f"step {step} "):
            raise Cancelled

    return progress


def weights(store: ModelStore, name: str) -> dict[str, torch.Tensor]:
    return torch.load(store.folder(name) / "weights.pt", weights_only=True)


def test_training_learns_and_records_where_it_comes_from(cases: list[Case], tmp_path: Path) -> None:
    store, messages = ModelStore(tmp_path), []
    info = train("fast", cases, "1", QUICK, store, "m", CPU, lambda f, m: messages.append((f, m)))
    provenance = store.describe("m")["provenance"]
    assert provenance["validation_dice"] > 0.5
    assert provenance["cases"] == case_digests(cases, ["FLAIR"], "1")
    assert provenance["images"] == case_digests(cases, ["FLAIR"])
    assert provenance["parameters"] == QUICK.model_dump(mode="json")
    assert len(provenance["held_out"]) == 2
    assert info.provenance == provenance
    fractions = [fraction for fraction, _ in messages]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any("loss" in message and "validation Dice" in message for _, message in messages)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    found = store.load("m", CPU).predict({"FLAIR": cases[0].image("FLAIR")}).labelmap.array
    assert dice(found == 1, np.flip(cases[0].mask("1").array, 0) == 1) > 0.5


def test_the_same_seed_gives_the_same_weights_and_another_does_not(cases: list[Case], tmp_path: Path) -> None:
    store, few = ModelStore(tmp_path), QUICK.model_copy(update={"steps": 4})
    for name, parameters in {"a": few, "b": few, "c": few.model_copy(update={"seed": 1})}.items():
        train("fast", cases, "1", parameters, store, name, CPU)
    a, b, c = (weights(store, name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_a_cancelled_training_resumes_to_the_same_end(cases: list[Case], tmp_path: Path) -> None:
    store, few = ModelStore(tmp_path), QUICK.model_copy(update={"steps": 9})
    train("fast", cases, "1", few, store, "whole", CPU)
    with pytest.raises(Cancelled):
        train("fast", cases, "1", few, store, "m", CPU, cancel_at(5))
    assert store.names() == ["whole"]
    other = few.model_copy(update={"lr": 1e-3})
    with pytest.raises(ConflictError, match="other cases, rater or parameters"):
        train("fast", cases, "1", other, store, "m", CPU, resume=True)
    steps: list[str] = []
    train("fast", cases, "1", few, store, "m", CPU, lambda _, m: steps.append(m), resume=True)
    assert next(message for message in steps if message.startswith("step")).startswith("step 6 of 9")
    one, two = weights(store, "whole"), weights(store, "m")
    assert all(torch.equal(one[key], two[key]) for key in one)
    with pytest.raises(ConflictError, match="no interrupted training of 'm'"):
        train("fast", cases, "1", few, store, "m", CPU, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m", "whole"]


def test_fine_tuning_goes_on_from_a_model(cases: list[Case], tmp_path: Path) -> None:
    store, few = ModelStore(tmp_path), QUICK.model_copy(update={"steps": 1})
    train("fast", cases[:4], "1", few, store, "a", CPU)
    still = few.model_copy(update={"start": "a", "lr": 1e-12, "weight_decay": 0.0})
    info = train("fast", cases[4:], "1", still, store, "b", CPU)
    assert info.provenance["start_digest"] == digest(store.folder("a"))
    a, b = weights(store, "a"), weights(store, "b")
    torch.testing.assert_close(a["head.weight"], b["head.weight"])
    with pytest.raises(InputError, match="cannot start from 'a'"):
        train("fast", cases, "1", still.model_copy(update={"features": (4, 8)}), store, "c", CPU)
    with pytest.raises(NotFoundError, match="no model 'zero'"):
        train("fast", cases, "1", still.model_copy(update={"start": "zero"}), store, "c", CPU)


def empty_mask(cases: list[Case], folder: Path) -> list[Case]:
    mask = cases[0].mask("1")
    write_volume(folder / "empty.nii.gz", mask.with_array(np.zeros_like(mask.array)))
    return [Case(case.id, case.images, {"1": folder / "empty.nii.gz"}) for case in cases[:2]]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda cases, _: {"cases": []}, "no case to train on"),
        (lambda cases, _: {"cases": [cases[0], cases[0]]}, "two cases have the id 'scan0'"),
        (lambda cases, _: {"rater": "7"}, "case 'scan0'.*masks of 1.*'7'"),
        (lambda cases, _: {"parameters": QUICK.model_copy(update={"channels": ("FLAIR", "T2")})}, "'scan0'.*FLAIR, T2"),
        (lambda cases, folder: {"cases": empty_mask(cases, folder)}, "no lesion voxel of rater '1'"),
        (lambda cases, _: {"kind": "forest"}, "unknown kind.*'forest'.*fast, nnunet"),
        (lambda cases, _: {"parameters": NnunetTrainingParameters()}, "takes FastTrainingParameters"),
        (lambda cases, _: {"name": "../up"}, "bad model name"),
    ],
)
def test_unusable_orders(cases: list[Case], tmp_path: Path, change, match: str) -> None:
    root = tmp_path / "models"
    order = {"kind": "fast", "cases": cases, "rater": "1", "parameters": QUICK, "name": "m"} | change(cases, tmp_path)
    with pytest.raises(InputError, match=match):
        train(**order, store=ModelStore(root), device=CPU, progress=silent)
    assert ModelStore(root).names() == []


@pytest.mark.parametrize(
    "values",
    [{"patch": 24}, {"steps": 0}, {"lr": 0}, {"channels": ()}, {"features": (8,)}, {"spacing": 0}, {"unknown": 1}],
)
def test_bad_parameters(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        FastTrainingParameters.model_validate(values)


def test_held_out_subjects_are_whole_and_seeded(cases: list[Case]) -> None:
    assert len(held_out(cases, 0.15, 0)) == 1
    assert held_out(cases, 0.15, 0) <= {"s0", "s1", "s2"}
    assert held_out(cases, 0.15, 3) == held_out(cases[::-1], 0.15, 3)
    assert len({str(held_out(cases, 0.15, seed)) for seed in range(20)}) == 3
    assert len(held_out(cases, 0.99, 0)) == 2
    assert held_out(cases, 0, 0) == held_out(cases[:2], 0.5, 0) == set()


def test_masks_follow_the_world_and_not_the_index(cases: list[Case]) -> None:
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    case = load_case(cases[0], ("FLAIR",), "1", config)
    image, share = case.volume.numpy()
    scan, lesions = np.asarray(cases[0].image("FLAIR").array), np.flip(cases[0].mask("1").array, 0) == 1
    low, median, high = np.percentile(scan[scan != 0], (25, 50, 75))
    expected = 2 * (scan[lesions].mean() - median) / np.sqrt(median * (high - low))
    assert image[share == 1].mean() == pytest.approx(expected, rel=0.1)
    assert abs(np.median(image[(share == 0) & (image != 0)])) < 0.3
    np.testing.assert_array_equal(case.truth.array, np.flip(cases[0].mask("1").array, 0) == 1)


def test_batches_hold_lesions_in_the_wanted_share(cases: list[Case]) -> None:
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    loaded = [load_case(case, ("FLAIR",), "1", config) for case in cases[:2]]
    images, masks = random_batch(Generator().manual_seed(0), loaded, 12, 16, 1.0, 1.0)
    assert images.shape == masks.shape == (12, 1, 16, 16, 16)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert masks.flatten(1).any(dim=1).float().mean() > 0.9
    assert images[masks == 1].mean() > images[masks == 0].mean() + 1
    again = random_batch(Generator().manual_seed(0), loaded, 12, 16, 1.0, 1.0)
    assert torch.equal(images, again[0])


def test_sampling_without_change_is_a_crop() -> None:
    volume = torch.randn(2, 20, 22, 24)
    grid = random_grid(Generator(), (10, 9, 11), 8, strength=0)
    torch.testing.assert_close(sample(volume, grid), volume[:, 6:14, 5:13, 7:15], atol=1e-4, rtol=1e-4)


def test_sampling_interpolates_as_scipy_does() -> None:
    volume = torch.randn(1, 20, 22, 24)
    grid = random_grid(Generator().manual_seed(2), (10, 11, 12), 8, strength=1)
    assert (grid != grid.round()).any()
    expected = ndimage.map_coordinates(volume[0].numpy(), grid.permute(3, 0, 1, 2).numpy(), order=1)
    np.testing.assert_allclose(sample(volume, grid)[0].numpy(), expected, atol=1e-4)


def test_augmentation_keeps_the_background_and_changes_the_rest() -> None:
    image = torch.randn(1, 16, 16, 16)
    image[:, :8] = 0
    lesion = torch.zeros(16, 16, 16)
    lesion[10:12, 4:8, 4:8] = 1
    assert torch.equal(augment(Generator().manual_seed(0), image, lesion, 0), image)
    for seed in range(20):
        changed = augment(Generator().manual_seed(seed), image, lesion, 1)
        assert (changed[:, :8] == 0).all()
        assert changed.isfinite().all()
        assert torch.corrcoef(torch.stack([changed[0, 8:].flatten(), image[0, 8:].flatten()]))[0, 1] > 0.3
    assert not torch.equal(changed, image)


def test_schedule_warms_up_and_ends_at_zero() -> None:
    rates = [schedule(step, 200) for step in range(201)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == rates[10] == 1
    assert rates[105] == pytest.approx(0.5)
    assert rates[200] == pytest.approx(0, abs=1e-9)


def test_the_description_names_every_file(cases: list[Case], tmp_path: Path) -> None:
    train("fast", cases, "1", QUICK.model_copy(update={"steps": 1}), ModelStore(tmp_path), "m", CPU)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["MODEL_CARD.md", "model.json", "weights.pt"]
    assert set(json.loads((tmp_path / "m" / "model.json").read_text())) == {
        "name", "kind", "channels", "labels", "config", "provenance",
    }  # fmt: skip
