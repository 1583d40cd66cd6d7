"""A real Orthanc with its DICOMweb plugin, in a process of its own, on a free port, over a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from tests.support.server import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PROGRAM = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
START_SECONDS = 60
STOP_SECONDS = 20


def skip_without_orthanc() -> None:
    """Skip the test where Orthanc or its plugin is not installed."""
    if PROGRAM is None or not PLUGIN.exists():
        pytest.skip("Orthanc with DICOMweb is not installed (Debian: orthanc, orthanc-dicomweb)")


class Orthanc:
    """Runs from `with` on; it can be stopped and started again on the same port with what it holds.

    Attributes:
        url: of its DICOMweb routes.
        rest: of its own routes, which tests use to send and look at instances.
        auth: user and password, or None.
    """

    def __init__(self, root: Path, auth: tuple[str, str] | None = None, **settings: Any) -> None:
        """Take a free port.

        Args:
            root: its folder; holds the configuration, the log and what is stored.
            settings: more of Orthanc's own, such as `OverwriteInstances`.
        """
        skip_without_orthanc()
        self.root, self.auth = root, auth
        root.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.rest = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.rest}/dicom-web"
        configuration = {
            "StorageDirectory": str(root / "storage"),
            "IndexDirectory": str(root / "storage"),
            "Plugins": [str(PLUGIN)],
            "HttpPort": self.port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": auth is not None,
            "RegisteredUsers": {} if auth is None else {auth[0]: auth[1]},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        (root / "orthanc.json").write_text(json.dumps(configuration | settings))

    def __enter__(self) -> Orthanc:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), str(self.root / "orthanc.json")], stdout=log, stderr=log, cwd=self.root
            )
        deadline = time.monotonic() + START_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                if requests.get(f"{self.url}/series", auth=self.auth, timeout=10).ok:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        self.stop()
        pytest.fail(f"Orthanc did not start: {(self.root / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """End it; what it holds stays."""
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def send(self, datasets: Iterable[Dataset]) -> None:
        """Store instances as a scanner would."""
        for dataset in datasets:
            content = BytesIO()
            dcmwrite(content, dataset, write_like_original=False)
            requests.post(f"{self.rest}/instances", content.getvalue(), auth=self.auth, timeout=60).raise_for_status()

    def query(self, level: str, **filters: str) -> list[Dataset]:
        """QIDO-RS: what it answers at "studies", "series" or "instances"."""
        answer = requests.get(f"{self.url}/{level}", params=filters, auth=self.auth, timeout=60)
        answer.raise_for_status()
        return [Dataset.from_json(one) for one in answer.json()]

    def instances(self, **tags: str) -> list[Dataset]:
        """All stored instances with these tags, with pixels, through Orthanc's own routes."""
        query = {"Level": "Instance", "Query": tags}
        found = requests.post(f"{self.rest}/tools/find", json=query, auth=self.auth, timeout=60)
        found.raise_for_status()
        files = [
            requests.get(f"{self.rest}/instances/{one}/file", auth=self.auth, timeout=60).content
            for one in found.json()
        ]
        return [dcmread(BytesIO(file)) for file in files]

    def forget(self, study: str) -> None:
        """Delete a study."""
        self._delete("Study", study)

    def forget_series(self, series: str) -> None:
        """Delete a series."""
        self._delete("Series", series)

    def _delete(self, level: str, uid: str) -> None:
        query = {"Level": level, "Query": {f"{level}InstanceUID": uid}}
        resource = {"Study": "studies", "Series": "series"}[level]
        for one in requests.post(f"{self.rest}/tools/find", json=query, auth=self.auth, timeout=60).json():
            requests.delete(f"{self.rest}/{resource}/{one}", auth=self.auth, timeout=60).raise_for_status()
