import json
import sys

import pytest

from benchmarks import __main__ as entry
from benchmarks import page
from benchmarks.page import COMPARISONS, GROWTH, Target

ENVIRONMENT = {
    "date": "2026-01-02T03:04:05+00:00",
    "python": "3.11.7",
    "platform": "Linux",
    "cores": 2,
    "gpu": None,
    "versions": {"torch": "2.6"},
}


def result(figures, rows=(), quick=False):
    return {"figures": figures, "rows": list(rows), "quick": quick, "environment": ENVIRONMENT}


@pytest.fixture
def places(monkeypatch, tmp_path):
    for name in ("RESULTS", "PICTURES"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setattr(page, name, folder)
    monkeypatch.setattr(page, "PAGE", tmp_path / "performance.md")
    return tmp_path


def row_of(text, name):
    (line,) = [line for line in text.splitlines() if line.endswith(f"| `{name}` |")]
    return line


def test_page_says_what_is_met_missed_and_not_measured(places):
    out = places / "out"
    out.mkdir()
    figures = {"ours": 0.5, "peer": 1.0, "limit": 0.4, "ratio": 2.0, "share_of_limit": 0.8, "max_abs_difference": 1e-9}
    (out / "saliency_speed.json").write_text(json.dumps(result(figures)))
    (out / "property_speed.json").write_text(json.dumps(result(figures | {"ratio": 50.0}, quick=True)))
    sizes = [{"voxels": 10**k, "CPU seconds": 2.0**k, "seconds": 1.0, "peak MiB": 3.0 * 10**k} for k in range(1, 4)]
    sizes = [row | {"exponent of seconds": None, "exponent of memory": None} for row in sizes]
    (out / "growth_volume.json").write_text(json.dumps(result({"gib_512": 9.0}, sizes)))
    page.write_page(out)
    text = (places / "performance.md").read_text()
    said = row_of(text, "saliency_speed")
    assert "| 500 ms | 1 s | 400 ms | 2 | 80 % | 1e-09 |" in said
    assert "≥ 1.5 ×: met" in said
    assert "≥ 85 % of the limit: **missed**" in said
    assert "not measured" in row_of(text, "property_speed")
    assert "| voxels | 10 | 1 000 | 0.301 | 0.301 | 1 | 1 | 512³ in ≤ 8 GiB: **missed** |" in row_of(
        text, "growth_volume"
    )
    assert (places / "pictures/performance_volume.png").read_bytes().startswith(b"\x89PNG")
    assert "2026-01-02" in text
    assert "2 cores, no GPU, Linux" in text


def test_a_bound_may_be_another_figure():
    target = Target("at most that", "overhead_ms", "accepted_ms", at_most=True)
    assert target.met({"overhead_ms": 1.0, "accepted_ms": 2.0})
    assert not target.met({"overhead_ms": 3.0, "accepted_ms": 2.0})


def test_every_row_is_a_benchmark_with_a_description():
    for name in (*(one.name for one in COMPARISONS), *GROWTH):
        assert name in entry.BENCHMARKS
        assert page.described(name)


def test_results_that_are_kept_have_the_figures_of_their_targets():
    for one in COMPARISONS:
        kept = page.RESULTS / f"{one.name}.json"
        if kept.is_file():
            found = json.loads(kept.read_text())
            assert not found["quick"]
            assert {"ratio", "max_abs_difference"} <= found["figures"].keys()
            assert isinstance(page.verdicts(one.targets, found["figures"]), str)


def test_a_failure_does_not_stop_the_others_but_is_the_exit_code(monkeypatch, tmp_path, capfd):
    said = "import sys; print(sys.argv[1:]); sys.exit(2 if sys.argv[2] == 'informer_table1' else 0)"
    monkeypatch.setattr(entry, "ENTRY", (sys.executable, "-c", said))
    data, out = tmp_path / "data", tmp_path / "out"
    own = data / "informer_table1"
    own.mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "all", "--quick", "--data", str(data), "--out", str(out)])
    assert entry.main() == 1
    lines = [line for line in capfd.readouterr().out.splitlines() if line]
    assert str(["run", "informer_table1", "--out", str(out), "--data", str(own), "--quick"]) in lines
    assert "left out: it needs data, in a folder shift_lidc of --data" in lines
    names = [line.split("'")[3] for line in lines if line.startswith("[")]
    assert names == [name for name in entry.BENCHMARKS if name not in entry.NEED_DATA - {"informer_table1"}]
    assert lines[-1] == "failed: informer_table1"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "all"])
    assert entry.main() == 0
