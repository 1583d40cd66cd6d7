import pytest
from hypothesis import given
from hypothesis import strategies as st

from slicerxai.server.fair_queue import FairQueue, Pace, may_hold
from slicerxai.server.problems import TooManyJobsError

ONE = {"only": 1.0}


def always(lane, client):
    return True


def drained(queue, allowed=always):
    found = []
    while (item := queue.take(allowed)) is not None:
        found.append(item)
    return found


def test_clients_take_turns_each_in_the_order_of_its_own():
    queue = FairQueue(ONE, 100)
    for number in range(60):
        queue.add(("greedy", number), "only", "greedy")
    queue.add(("other", 0), "only", "other")
    queue.add(("other", 1), "only", "other")
    order = drained(queue)
    assert order[:5] == [("greedy", 0), ("other", 0), ("greedy", 1), ("other", 1), ("greedy", 2)]
    assert order[5:] == [("greedy", number) for number in range(3, 60)]
    assert len(queue) == queue.clients("only") == 0


def test_lanes_share_by_weight_and_none_starves():
    queue = FairQueue({"fast": 4.0, "slow": 1.0}, 100)
    for number in range(40):
        queue.add(f"fast{number}", "fast", "a")
        queue.add(f"slow{number}", "slow", "a")
    order = drained(queue)
    assert order[0] == "fast0"
    assert sum(item.startswith("fast") for item in order[:25]) == 20
    assert sum(item.startswith("fast") for item in order[:10]) == 8


def test_a_lane_does_not_save_up_turns_while_nobody_waits_in_it():
    queue = FairQueue({"a": 1.0, "b": 1.0}, 100)
    for _ in range(20):
        queue.add("a", "a", "client")
    assert [queue.take(always) for _ in range(10)] == ["a"] * 10
    for _ in range(10):
        queue.add("b", "b", "client")
    assert drained(queue).count("b") == 10
    queue.add("a", "a", "client")
    queue.add("b", "b", "client")
    assert {queue.take(always), queue.take(always)} == {"a", "b"}


def test_a_late_lane_gets_its_share_and_not_all():
    queue = FairQueue({"a": 1.0, "b": 1.0}, 1000)
    for _ in range(100):
        queue.add("a", "a", "client")
    for _ in range(50):
        queue.take(always)
    for _ in range(50):
        queue.add("b", "b", "client")
    order = [queue.take(always) for _ in range(20)]
    assert 9 <= order.count("a") <= 11


def test_what_is_not_allowed_now_keeps_its_place():
    queue = FairQueue({"inference": 1.0, "cohort": 1.0}, 10)
    queue.add("long", "cohort", "a")
    queue.add("short", "inference", "b")
    assert queue.take(lambda lane, client: lane != "cohort") == "short"
    assert queue.take(lambda lane, client: lane != "cohort") is None
    assert queue.take(always) == "long"


def test_first_goes_before_everyone_and_pop_takes_one_out():
    queue = FairQueue(ONE, 10)
    for item in "abc":
        queue.add(item, "only", item)
    queue.add("again", "only", "c", first=True)
    assert queue.pop(lambda item: item == "b") == "b"
    assert queue.pop(lambda item: item == "b") is None
    assert queue.take(always) == "again"
    assert sorted(queue.clear()) == ["a", "c"]
    assert len(queue) == 0


def test_a_client_alone_leaves_places_for_others():
    queue = FairQueue(ONE, 64)
    for number in range(48):
        queue.check_room("only", "greedy", 7)
        queue.add(number, "only", "greedy")
    with pytest.raises(TooManyJobsError, match="48 jobs of yours wait already; the other 16") as caught:
        queue.check_room("only", "greedy", 7)
    assert caught.value.retry_after == 7
    queue.check_room("only", "newcomer", 7)


@given(st.integers(1, 40), st.lists(st.integers(0, 5), max_size=200))
def test_a_newcomer_finds_a_place_unless_all_are_taken(places, arrivals):
    queue = FairQueue(ONE, places)
    for client in map(str, arrivals):
        own, taken = queue.of_client("only", client), queue.waiting("only")
        if may_hold(own, taken, places):
            queue.check_room("only", client, 1)
            queue.add(client, "only", client)
        else:
            assert own > 0 or taken == places
    assert len(queue) <= places


def test_the_pace_tells_when_to_come_back():
    pace = Pace()
    assert pace.retry_after("case", 1) == 10
    for _ in range(50):
        pace.note("case", 3.0)
    assert pace.retry_after("case", 2) == 6
    assert pace.retry_after("case", 0.01) == 1
    pace.note("case", 1e9)
    assert pace.retry_after("case", 10) == 600
