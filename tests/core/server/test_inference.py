"""Identical inferences under way are computed once, and every request gets its own file."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import server_tasks
from small_server import make_home, make_pool

from slicerxai.errors import InputError
from slicerxai.server import worker
from slicerxai.server.inference import infer, inference_key


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    pool = make_pool(make_home(tmp_path_factory.mktemp("inference")))
    yield pool
    pool.shutdown()


@pytest.fixture(autouse=True)
def light(monkeypatch):
    monkeypatch.setattr(worker, "infer", server_tasks.infer)


def image(folder, content):
    folder.mkdir(parents=True)
    path = folder / f"{folder.name}.nii.gz"
    path.write_bytes(content)
    return path


def test_each_request_gets_its_own_copy_of_one_computation(pool, tmp_path):
    paths = [image(tmp_path / f"session{number}", b"same") for number in range(5)]
    paths.append(image(tmp_path / "other", b"different"))
    outs = [tmp_path / f"{number}.nii.gz" for number in range(6)]
    with ThreadPoolExecutor(6) as threads:
        reports = list(
            threads.map(lambda number: infer(pool, "tiny", {"FLAIR": paths[number]}, outs[number]), range(6))
        )
    assert reports == [{"seconds": 1.0}] * 6
    assert [out.read_bytes() for out in outs] == [b"labels of same"] * 5 + [b"labels of different"]
    runs = [(path.parent / "trace").is_file() for path in paths]
    assert sum(runs) == 2
    assert runs[5]
    states = [job.state for job in pool.jobs.newest(6)]
    assert states == ["done"] * 6
    assert not list(pool.results.root.glob(".inference-*"))
    infer(pool, "tiny", {"FLAIR": paths[0]}, outs[0])
    assert len("".join(p.read_text() for p in tmp_path.glob("*/trace")).split()) == 3


def test_a_fault_names_the_file_of_the_one_who_asked(pool, tmp_path):
    paths = [image(tmp_path / name, b"bad") for name in ("mine", "yours")]

    def ask(path):
        with pytest.raises(InputError) as caught:
            infer(pool, "tiny", {"FLAIR": path}, tmp_path / f"{path.name}.out.nii.gz")
        return str(caught.value)

    with ThreadPoolExecutor(2) as threads:
        said = list(threads.map(ask, paths))
    assert said == ["mine.nii.gz: 3 voxels are NaN", "yours.nii.gz: 3 voxels are NaN"]
    assert not list(pool.results.root.glob(".inference-*"))


def test_everything_that_decides_the_bytes_is_in_the_key():
    keys = {
        inference_key("model", {"FLAIR": "a"}, ".nii.gz"),
        inference_key("other", {"FLAIR": "a"}, ".nii.gz"),
        inference_key("model", {"FLAIR": "b"}, ".nii.gz"),
        inference_key("model", {"T1": "a"}, ".nii.gz"),
        inference_key("model", {"FLAIR": "a"}, ".nrrd"),
    }
    assert len(keys) == 5
    assert inference_key("m", {"T1": "a", "T2": "b"}, "") == inference_key("m", {"T2": "b", "T1": "a"}, "")
