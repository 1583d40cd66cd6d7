"""The examples for clusters: what they name exists, and the one for SLURM runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import dask.config
import distributed  # noqa: F401 - its settings
import pytest
import yaml
from distributed.cli.dask_scheduler import main as dask_scheduler
from distributed.cli.dask_worker import main as dask_worker

from slicerxai.cli.main import cli
from slicerxai.settings import Settings
from tests.support.spotted_cohort import write_cohort

CLUSTER = Path(__file__).parents[2] / "deploy" / "cluster"
OBJECTS = list(yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text()))
PODS = {item["metadata"]["name"]: item["spec"]["template"] for item in OBJECTS if item["kind"] in {"Deployment", "Job"}}


def named(kind: str) -> dict[str, Any]:
    return {item["metadata"]["name"]: item for item in OBJECTS if item["kind"] == kind}


def accepts(command: click.Command, arguments: list[str]) -> None:
    """Parse without running."""
    command.make_context(str(command.name), [*arguments])


@pytest.mark.parametrize("name", PODS)
def test_a_pod_is_confined_and_sees_what_it_names(name: str) -> None:
    spec = PODS[name]["spec"]
    (container,) = spec["containers"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert set(volumes) == {mount["name"] for mount in container["volumeMounts"]}
    assert volumes["shared"]["persistentVolumeClaim"]["claimName"] in named("PersistentVolumeClaim")
    assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= set(named("ConfigMap"))
    assert spec["securityContext"]["runAsNonRoot"]
    assert not spec["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "memory" in container["resources"]["limits"]
    (policy,) = named("NetworkPolicy").values()
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= PODS[name]["metadata"]["labels"].items()


def test_commands_and_addresses_fit() -> None:
    arguments = {name: pod["spec"]["containers"][0]["args"] for name, pod in PODS.items()}
    accepts(dask_scheduler, arguments["slicerxai-scheduler"][1:])
    accepts(dask_worker, arguments["slicerxai-worker"][1:])
    program, method, *rest = arguments["slicerxai-batch"]
    group = cli.get_command(click.Context(cli), program)
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), method)
    assert command is not None
    accepts(command, rest)
    ((service, content),) = named("Service").items()
    address = f"tls://{service}:{content['spec']['ports'][0]['port']}"
    assert address in arguments["slicerxai-worker"]
    assert f"--scheduler={address}" in rest
    selector = content["spec"]["selector"]
    assert [name for name, pod in PODS.items() if selector.items() <= pod["metadata"]["labels"].items()] == [service]


def test_the_settings_exist_and_ask_for_encryption() -> None:
    environment = named("ConfigMap")["slicerxai-dask"]["data"]
    ours = {f"SLICERXAI_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in environment if name.startswith("SLICERXAI")} <= ours
    found = dask.config.collect_env(environment)
    known = dask.config.config["distributed"]["comm"]
    comm = found["distributed"]["comm"]
    assert dask.config.canonical_name("require_encryption", known) in known
    assert comm["require_encryption"] is True
    for role in ("scheduler", "worker", "client"):
        assert set(comm["tls"][role]) == {"key", "cert"} <= set(known["tls"][role])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="bash and openssl")
def test_the_slurm_example_runs(tiny_home: Path, tmp_path: Path) -> None:
    """With an `srun` that starts one task."""
    cohort, out, programs = write_cohort(tmp_path / "cohort", 2), tmp_path / "out", tmp_path / "bin"
    programs.mkdir()
    (programs / "srun").write_text('#!/bin/sh\nexec "$@"\n')
    (programs / "srun").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "SLICERXAI_HOME": str(tiny_home), "SLICERXAI_DEVICE": "cpu"}
    command = ["bash", CLUSTER / "slurm.sh", "infer", "--cohort", cohort, "--out", out]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "2 cases computed, 0 kept, 0 failed" in ended.stdout
    assert "tls://" in ended.stderr
    assert len(list((out / "cases").glob("*/lesions.nii.gz"))) == 2
    assert not list(tiny_home.glob("slurm-*"))
