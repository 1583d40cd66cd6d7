"""The benchmark of generated requests at a size for every run of the tests."""

import pytest

from benchmarks.server_schema import Part, Who, ask, figures, watched
from benchmarks.server_schema_cases import MARK

ALL_WELL = ("server_errors", "hangs", "files_outside", "secrets_read", "untrue", "crashes", "lost_workers", "incidents")


def test_nothing_breaks_the_server():
    with watched() as running:
        part = ask(running, Who("everybody", {}, {}, {}), 1)
    found = figures([part])
    assert {name: getattr(part, name) for name in ALL_WELL if found[name]} == {}
    assert found["cases"] >= 80
    assert {"200", "404", "422"} <= set(part.statuses)


def test_a_file_outside_is_seen():
    """Without a server: what the three watches look at, after a file was written where it must not be."""
    with pytest.MonkeyPatch.context() as patch, watched_idle(patch) as running:
        assert running.outside() == []
        (running.server.root.parent / MARK).write_text("x")
        assert any(MARK in found for found in running.outside())


def watched_idle(patch):
    """The watch over a server that is not started."""
    patch.setattr("benchmarks.server_schema.Server.start", lambda server: None)
    patch.setattr("benchmarks.server_schema.Server.stop", lambda server: None)
    return watched()


def test_figures_are_sums():
    parts = [Part("a", cases=2, hangs=["x"], slowest_seconds=1.0), Part("b", cases=3, slowest_seconds=2.0)]
    found = figures(parts)
    assert (found["cases"], found["hangs"], found["slowest_seconds"]) == (5, 1, 2.0)
