"""The next sample that is drawn at random."""

import time
from collections import Counter

import pytest

from slicerxai.server.monailabel.random_sampling import AnyUnlabelled


class Offered:
    """A datastore whose images were offered at these times."""

    def __init__(self, **times: float) -> None:
        self.times = times

    def get_unlabeled_images(self) -> list[str]:
        return list(self.times)

    def get_image_info(self, image: str) -> dict:
        return {"strategy": {"random": {"ts": self.times[image]}}} if self.times[image] else {}


@pytest.mark.parametrize("ahead", [0, 3600])
def test_images_that_were_all_offered_now_or_later_are_offered_again(ahead: float) -> None:
    now = time.time() + ahead
    sample = AnyUnlabelled()({"strategy": "random"}, Offered(one=now, two=now))
    assert sample is not None
    assert sample["id"] in {"one", "two"}
    assert sample["weight"] == 1


def test_the_one_that_was_not_offered_lately_is_likelier() -> None:
    store = Offered(lately=time.time() - 1, never=0)
    drawn = Counter(AnyUnlabelled()({"strategy": "random"}, store)["id"] for _ in range(50))
    assert drawn["never"] == 50
    assert AnyUnlabelled()({"strategy": "random"}, Offered()) is None
