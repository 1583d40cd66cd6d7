import gzip
import json

import numpy as np
import pytest

from benchmarks import server_load
from benchmarks.server_load_clients import NIFTI_HEADER_BYTES, Log, voxels_digest
from benchmarks.server_load_watch import slope


def test_the_interval_of_a_slope_holds_it_although_samples_depend_on_each_other():
    random, covered, trials = np.random.default_rng(0), 0, 200
    minutes = np.arange(240) / 60
    for _ in range(trials):
        noise = np.zeros(240)
        for index, shock in enumerate(random.normal(0, 1, 240)):
            noise[index] = 0.7 * noise[index - 1] + shock
        found = slope(minutes, 800 + 2.5 * minutes + noise)
        covered += found["low"] <= 2.5 <= found["high"]
    assert covered / trials > 0.85
    exact = slope(minutes, 100 - minutes)
    assert exact["mb_per_minute"] == pytest.approx(-1)
    assert exact["low"] == pytest.approx(exact["high"])


def test_voxels_are_compared_whatever_the_packing():
    header, voxels = bytes(NIFTI_HEADER_BYTES), bytes(range(200))
    plain = voxels_digest(header + voxels)
    assert voxels_digest(gzip.compress(b"x" * NIFTI_HEADER_BYTES + voxels, mtime=5)) == plain
    assert voxels_digest(header + voxels[::-1]) != plain


def test_figures_count_what_is_no_answer():
    log = Log(requests=[("info", 0, 0.01 * n, 200) for n in range(1, 101)] + [("infer", 0, 1, 429), ("infer", 0, 1, 0)])
    log.requests.append(("infer", 0, 1, 500))
    figures = server_load._figures(log, Log(requests=[("health/live", 0, 0.5, 503)]))
    assert figures["refused_429"] == 1
    assert figures["errors_other_than_429"] == 3
    assert figures["client_p95_ms"] == pytest.approx(950.5)
    assert figures["client_slow_share"] == pytest.approx(0.9)
    assert figures["probe_p95_ms"] == 500
    (infer, info) = server_load._rows(log, Log())
    assert (infer["requests"], infer["answered"], infer["429"], infer["other errors"]) == (3, 0, 1, 2)
    assert info["p50 ms"] == pytest.approx(505)


def test_a_part_that_was_measured_is_not_measured_again(tmp_path):
    calls = []

    def measure():
        calls.append(1)
        return {"figures": {"a": 1}}

    path = tmp_path / "server_load" / "ours-30.json"
    first, second = (server_load._kept(path, measure) for _ in range(2))
    assert calls == [1]
    assert first["figures"] == second["figures"] == json.loads(path.read_text())["figures"]
