import numpy as np
import torch

from slicerxai.alignment.decision_masks import brain_on, decision_mask, lesions_on
from slicerxai.alignment.exchanged import ExchangedSurroundings, RandomSurroundings, surrounded
from slicerxai.alignment.masked_images import MaskedArrays
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Prepared


def arrays(count: int = 6) -> MaskedArrays:
    """Image n is n + 1 outside of its mask and −(n + 1) inside."""
    masks = torch.zeros(count, 1, 4, 4)
    masks[:, :, 1:3, 1:3] = 1
    number = torch.arange(1, count + 1).float()[:, None, None, None]
    return MaskedArrays(number * (1 - 2 * masks), (torch.arange(count) % 2).float()[:, None], masks)


def test_surroundings_are_of_the_other_without_what_is_its_own():
    image, other = torch.full((1, 1, 4), 1.0), torch.full((1, 1, 4), 2.0)
    own, of_other = torch.tensor([[[1.0, 1, 0, 0]]]), torch.tensor([[[0.0, 1, 1, 0]]])
    assert surrounded(image, own, other, of_other).flatten().tolist() == [1, 1, 0, 2]


def test_each_gives_its_surroundings_once():
    made = arrays()
    exchanged = ExchangedSurroundings(list(made.images), made.labels, list(made.masks), seed=3)
    givers = []
    for index in range(len(exchanged)):
        image, label = exchanged[index]
        assert (image[:, 1:3, 1:3] == -(index + 1)).all()
        assert label == made.labels[index]
        givers.append(int(image[0, 0, 0]))
        assert givers[-1] != index + 1
    assert sorted(givers) == [1, 2, 3, 4, 5, 6]


def test_image_without_mask_stays():
    made = arrays(3)
    made.masks[1] = 0
    exchanged = ExchangedSurroundings(list(made.images), made.labels, list(made.masks))
    assert torch.equal(exchanged[1][0], made.images[1])
    always = RandomSurroundings(made, list(made.masks), share=1.0)
    assert torch.equal(always[1][0], made.images[1])


def test_share_of_random_surroundings():
    made = arrays()
    never, half = RandomSurroundings(made, list(made.masks), 0.0), RandomSurroundings(made, list(made.masks), 0.5, 1)
    assert all(torch.equal(never[n][0], made.images[n]) for n in range(6))
    changed = [not torch.equal(half[n % 6][0], made.images[n % 6]) for n in range(300)]
    assert 0.3 < np.mean(changed) < 0.55  # of the half, one in six draws itself
    again = RandomSurroundings(made, list(made.masks), 0.5, 1)
    assert [not torch.equal(again[n % 6][0], made.images[n % 6]) for n in range(300)] == changed
    image, labels, mask = half[2]
    assert torch.equal(labels, made.labels[2])
    assert torch.equal(mask, made.masks[2])
    assert (image[:, 1:3, 1:3] == -3).all()


def prepared(array: np.ndarray, spacing: float = 3.0) -> Prepared:
    affine = np.diag([spacing, spacing, spacing, 1.0])
    return Prepared(torch.from_numpy(array[None].astype(np.float32)), affine, Volume(array, affine))


def test_brain_leaves_out_what_stands_beside_or_hangs_on_by_little():
    head = np.zeros((30, 30, 30))
    head[8:22, 8:22, 8:22] = 1
    with_mark = head.copy()
    with_mark[25:29, 25:29, 25:29] = 5
    with_mark[22:25, 10:12, 10:12] = 5
    found = brain_on(prepared(with_mark))
    assert not found[25:].any()  # a stump may stay
    assert found[10:20, 10:20, 10:20].all()
    assert (found <= (with_mark != 0)).all()


def test_decision_masks():
    lesions, brain = np.zeros((3, 3, 3), bool), np.zeros((3, 3, 3), bool)
    lesions[1, 1, 1], brain[1] = True, True
    assert decision_mask(lesions, brain, np.array([True, True])).sum() == 1
    assert decision_mask(lesions, brain, np.array([True, False])).sum() == 9
    assert decision_mask(lesions, None, np.array([False])).sum() == 1
    assert decision_mask(lesions, brain, np.array([True])).shape == (1, 3, 3, 3)


def test_lesions_on_the_grid():
    case = prepared(np.ones((6, 6, 6)))
    array = np.zeros((12, 12, 12), np.uint8)
    mask = Volume(array, np.diag([1.5, 1.5, 1.5, 1.0]))
    assert not lesions_on(case, mask).any()
    array[4:8, 4:8, 4:8] = 1
    assert lesions_on(case, mask).sum() == 8
