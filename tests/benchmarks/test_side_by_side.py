import subprocess
import sys

import numpy as np
import pytest

from benchmarks.side_by_side import (
    Disagreement,
    Timing,
    agreed,
    alone,
    exponent,
    forget_peak,
    peak,
    peak_memory,
    ratios,
    side_by_side,
)

MEGABYTE = 1024**2


def hold(megabytes: int) -> None:
    np.ones(megabytes * MEGABYTE, np.uint8)


def held_after(before: int, within: int) -> int:
    hold(before)
    held = forget_peak()
    hold(within)
    return peak() - held


def fail() -> None:
    raise ValueError("seven")


def test_contenders_take_turns_after_one_that_does_not_count():
    order: list[str] = []
    found = side_by_side({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert "".join(order) == "abababab"
    assert list(found) == ["a", "b"]
    assert all(one.turns == 3 and one.low <= one.seconds <= one.high for one in found.values())


def test_cpu_seconds_are_those_of_ended_children_too():
    def child() -> None:
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)

    assert side_by_side({"child": child}, 1)["child"].cpu_seconds >= 0.4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not forget a peak")
def test_peak_is_what_the_function_holds_above_what_was_held_before():
    # the kernel counts pages in batches
    assert peak_memory(hold, 200) / MEGABYTE == pytest.approx(200, abs=5)
    assert alone(held_after, 200, 100) / MEGABYTE == pytest.approx(100, abs=5)


def test_an_error_in_the_process_is_raised():
    with pytest.raises(ValueError, match="seven"):
        peak_memory(fail)


def test_exponent_of_known_growth():
    sizes = [1, 2, 4, 8]
    assert exponent(sizes, [5 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes, [3, 3, 3, 3]) == pytest.approx(0)


def test_ratios_are_of_the_chosen_clock():
    ours, peer, limit = (Timing(wall, cpu, 0.0, 9.0, 1) for wall, cpu in ((2.0, 1.0), (4.0, 3.0), (1.0, 0.5)))
    assert ratios(ours, peer) == {"ours": 2.0, "peer": 4.0, "ratio": 2.0}
    by_cpu = {"ours": 1.0, "peer": 3.0, "ratio": 3.0, "limit": 0.5, "share_of_limit": 0.5}
    assert ratios(ours, peer, limit, "cpu_seconds") == by_cpu


def test_answers_that_differ_are_refused():
    assert agreed(1e-6, 1e-5, "maps") == 1e-6
    for difference in (2e-5, float("nan")):
        with pytest.raises(Disagreement, match="maps"):
            agreed(difference, 1e-5, "maps")
