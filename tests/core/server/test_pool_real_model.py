"""The workers with a real network: the same bits as the command line, and MONAI Label's infer."""

import json
import subprocess
import sys

import numpy as np
import pytest
import server_tasks
import torch
from scipy import ndimage

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError, NotFoundError
from slicerxai.explain import folder as folders
from slicerxai.models.fast import LABELS, WEIGHTS, FastConfig
from slicerxai.models.store import ModelStore
from slicerxai.models.unet import FastUNet
from slicerxai.server.inference import infer
from slicerxai.server.pool import Pool
from slicerxai.server.worker import Success

pytestmark = pytest.mark.slow

WAIT = 300
CONFIG = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
PARAMETERS = {"method": "input_x_gradient", "seed": 3}
OBLIQUE_LEFT_HANDED = np.array([[-1.9, 0.3, 0.1, 40], [0.3, 1.9, 0.2, -35], [0.1, -0.2, 2.1, -20], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    torch.manual_seed(0)
    network = FastUNet(1, 2, CONFIG.features).eval()
    with torch.no_grad():  # both labels occur
        logits = network(torch.randn(1, 1, 16, 16, 16))
        network.head.bias[1] -= (logits[:, 1] - logits[:, 0]).quantile(0.9)
    description = {"name": "tiny", "kind": "fast", "channels": ["FLAIR"], "labels": LABELS, "provenance": {}}
    description["config"] = CONFIG.model_dump(mode="json")
    with ModelStore(home / "models").create("tiny") as building:
        torch.save(network.state_dict(), building / WEIGHTS)
        (building / "model.json").write_text(json.dumps(description))
    return home


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    rng, shape = np.random.default_rng(0), (26, 30, 18)
    inside = (np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")) ** 2).sum(0) < 0.7
    texture = ndimage.gaussian_filter(rng.standard_normal(shape), 1.5)
    path = tmp_path_factory.mktemp("scan") / "scan.nii.gz"
    write_volume(path, Volume(np.where(inside, 300 + 400 * texture, 0).astype(np.float32), OBLIQUE_LEFT_HANDED))
    return path


@pytest.fixture(scope="module")
def pool(home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLICERXAI_HOME", str(home))
        patch.setenv("SLICERXAI_DEVICE", "cpu")
        patch.setenv("SLICERXAI_THREADS", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        pool = Pool(home / "jobs", ModelStore(home / "models"), workers=1, queue_limit=8)
        yield pool
        pool.shutdown()


def explain(pool, path):
    return pool.explain("saliency", "scan", {"FLAIR": path}, "tiny", PARAMETERS, {"image": "scan"})


def test_same_bits_as_the_command_line(pool, scan, tmp_path):
    job = explain(pool, scan)
    assert pool.ended(job.id).result(timeout=WAIT) == Success(None)
    out = tmp_path / "out"
    options = [text for name, value in PARAMETERS.items() for text in (f"--{name}", str(value))]
    command = [sys.executable, "-c", "from slicerxai.cli.main import main; main()", "explain", "saliency"]
    subprocess.run([*command, "--image", str(scan), "--out", str(out), *options], check=True, timeout=WAIT)
    served, typed = folders.load(pool.results.path(job.key)), folders.load(out)
    assert served.overlays.keys() == typed.overlays.keys()
    for name, overlay in served.overlays.items():
        other = typed.overlays[name].volume
        assert overlay.volume.array.tobytes() == other.array.tobytes(), name
        assert overlay.volume.affine.tobytes() == other.affine.tobytes(), name
    assert any(np.ptp(overlay.volume.array) > 0 for overlay in served.overlays.values() if overlay.kind == "saliency")
    assert served.provenance.model_digest == typed.provenance.model_digest
    assert (served.metrics, served.checks, served.flags) == (typed.metrics, typed.checks, typed.flags)


def test_infer_writes_the_labelmap_on_the_images_grid(pool, scan, tmp_path):
    out = tmp_path / "labels.nrrd"
    report = infer(pool, "tiny", {"FLAIR": scan}, out)
    labels, image = read_volume(out), read_volume(scan)
    assert labels.shape == image.shape
    np.testing.assert_allclose(labels.affine, image.affine, atol=1e-5)
    assert report["labels"] == {"lesion": 1}
    assert report["lesions"]
    voxels = sum(lesion["voxels"] for lesion in report["lesions"])
    assert 0 < voxels <= np.count_nonzero(labels.array)
    assert report["volume_ml"] == pytest.approx(voxels * image.voxel_volume / 1000)
    json.dumps(report)


def test_the_users_faults_come_back_as_such_without_paths(pool, scan, tmp_path):
    out = tmp_path / "labels.nii.gz"
    with pytest.raises(NotFoundError, match="'absent'"):
        infer(pool, "absent", {"FLAIR": scan}, out)
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(scan.read_bytes()[:200])
    with pytest.raises(InputError, match=r"broken\.nii\.gz") as caught:
        infer(pool, "tiny", {"FLAIR": broken}, out)
    assert str(tmp_path) not in str(caught.value)
    assert not out.exists()
    job = explain(pool, broken)
    pool.ended(job.id).result(timeout=WAIT)
    failed = pool.jobs.get(job.id)
    assert (failed.state, failed.error["status"]) == ("failed", 422)
    assert str(tmp_path) not in failed.error["detail"]


def test_an_image_that_changes_under_way_is_refused(pool, scan, tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(scan.read_bytes())
    pool.submit(server_tasks.count, 10, 0.1, kind="infer", method="busy", request={})  # the only worker
    job = pool.explain("saliency", "scan", {"FLAIR": path}, "tiny", PARAMETERS | {"seed": 4}, {})
    image = read_volume(path)
    write_volume(path, image.with_array(image.array + 1))
    pool.ended(job.id).result(timeout=WAIT)
    assert "changed" in pool.jobs.get(job.id).error["detail"]
    assert not pool.results.has(job.key)
