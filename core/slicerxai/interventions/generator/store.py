"""Trained generators on disk: one folder each with `generator.json` and the weights; nothing pickled is run."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import TypeAdapter

from slicerxai.data.files import replaced_text
from slicerxai.errors import InputError, NotFoundError
from slicerxai.interventions.generator.parameters import GeneratorConfig, GeneratorParameters
from slicerxai.models.store import digest
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from slicerxai.data.case import Case
    from slicerxai.interventions.generator.conditions import Condition
    from slicerxai.interventions.generator.network import ConditionalUNet

WEIGHTS = "weights.pt"
DESCRIPTION = "generator.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator, ready to use.

    Attributes:
        name: under which it is stored.
        digest: SHA-256 over its files.
        config, condition: what it draws, and what it is told.
        network: in eval mode, without gradients to its weights.
        provenance: what it was trained on, with which parameters, versions, seed and time.
    """

    name: str
    digest: str
    config: GeneratorConfig
    condition: Condition
    network: ConditionalUNet
    device: torch.device
    provenance: Mapping[str, Any]


class GeneratorStore:
    """The generators below one folder. Reading names and descriptions needs no torch."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Names of all complete generators."""
        return sorted(
            path.parent.name for path in self.root.glob(f"*/{DESCRIPTION}") if _NAME.fullmatch(path.parent.name)
        )

    def folder(self, name: str) -> Path:
        """The folder of a generator. Raises `NotFoundError` naming what exists and what to type."""
        folder = self.root / _checked(name)
        if not (folder / DESCRIPTION).is_file():
            known = self.names()
            msg = (
                f"no generator {name!r} (known: {', '.join(known) or 'none yet'}); train one with: "
                f"slicerxai train generator COHORT --name {name}"
            )
            raise NotFoundError(msg, accepted=known)
        return folder

    def load(self, name: str, device: torch.device) -> TrainedGenerator:
        """The generator on a device. Raises `NotFoundError`, or `InputError` for damaged files."""
        import torch

        from slicerxai.interventions.generator.conditions import Condition
        from slicerxai.interventions.generator.network import ConditionalUNet

        folder = self.folder(name)
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            config = GeneratorConfig.model_validate(description["config"])
            condition: Condition = TypeAdapter(Condition).validate_python(description["condition"])
            with torch.random.fork_rng(devices=[]):
                network = ConditionalUNet(config, condition.features)
            network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
            provenance = dict(description["provenance"])
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = str(error).partition("\n")[0]
            msg = f"generator folder {folder} is damaged ({type(error).__name__}: {reason}); train the generator again"
            raise InputError(msg) from error
        network.to(device).eval().requires_grad_(requires_grad=False)
        return TrainedGenerator(name, digest(folder), config, condition, network, device, provenance)

    def train(
        self,
        name: str,
        cases: Sequence[Case],
        rater: str,
        parameters: GeneratorParameters,
        device: torch.device,
        progress: Progress = silent,
        *,
        resume: bool = False,
    ) -> TrainedGenerator:
        """Train a generator; it appears under its name, replacing another, when it is complete.

        A cancelled or interrupted training can be resumed: same name, cases, rater and parameters. Raises as
        `train_generator` does, and `InputError` for a bad name.
        """
        from slicerxai.interventions.generator.training import train_generator

        work = self.root / f".training-{_checked(name)}"
        if not resume:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        with self._created(name) as folder:
            train_generator(cases, rater, parameters, folder, name, device, progress, work=work, resume=resume)
        shutil.rmtree(work, ignore_errors=True)
        return self.load(name, device)

    @contextmanager
    def _created(self, name: str) -> Iterator[Path]:
        """A new folder to fill; it appears under its name only when the block ends without an error."""
        self.root.mkdir(parents=True, exist_ok=True)
        building = self.root / f".building-{uuid4().hex}"
        building.mkdir()
        try:
            yield building
            target, retired = self.root / name, self.root / f".retired-{uuid4().hex}"
            if target.exists():
                target.rename(retired)
            building.rename(target)
            shutil.rmtree(retired, ignore_errors=True)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def write_generator(
    folder: Path,
    name: str,
    network: ConditionalUNet,
    config: GeneratorConfig,
    condition: Condition,
    provenance: Mapping[str, Any],
) -> None:
    """Fill a folder that `GeneratorStore.load` reads; the description comes last."""
    import torch

    torch.save({key: value.cpu().contiguous() for key, value in network.state_dict().items()}, folder / WEIGHTS)
    description = {
        "name": name,
        "config": config.model_dump(mode="json"),
        "condition": condition.model_dump(mode="json"),
        "provenance": dict(provenance),
    }
    replaced_text(folder / DESCRIPTION, json.dumps(description, indent=2) + "\n")


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        msg = f"bad generator name {name!r}; letters, digits, '-' and '_' are accepted, at most 64"
        raise InputError(msg)
    return name
