"""What was learned of models' images, on disk below the digests of the models: tensors and JSON, nothing pickled."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.data.files import replaced_bytes, replaced_text
from slicerxai.errors import ConflictError, InputError, NotFoundError
from slicerxai.models.bound_files import IDENTIFIER, BoundFiles

if TYPE_CHECKING:
    import torch

    from slicerxai.alignment.plausibility import Realism

FORMAT = 1


@dataclass(frozen=True)
class StoredRealism:
    """What was learned, and its address.

    Attributes:
        id: first 12 hexadecimal digits of the SHA-256 of the tensors and the model's digest.
        model: name of the model at that time.
        created: seconds since the epoch.
    """

    id: str
    model: str
    created: float
    realism: Realism


class RealismStore(BoundFiles):
    """Below one folder, `MODEL DIGEST/ID.pt` (tensors) and `ID.json`, which is written last: there whole or not at all.

    Asking for the newest id needs no torch.
    """

    def save(self, model: str, realism: Realism) -> str:
        """Keep it and return its id. The same again has the same id and becomes the newest."""
        import torch

        buffer = io.BytesIO()
        torch.save(_tensors(realism), buffer)
        content = buffer.getvalue()
        network = realism.autoencoder
        described = {
            "format": FORMAT,
            "model": model,
            "model_digest": realism.model_digest,
            "created": time.time(),
            "tensors": hashlib.sha256(content).hexdigest(),
            "parameters": realism.parameters.model_dump(mode="json"),
            "channels": network.channels,
            "shape": list(network.shape),
            "rest": realism.density.rest,
        }
        identifier = _identifier(realism)
        folder = self._folder(realism.model_digest)
        folder.mkdir(parents=True, exist_ok=True)
        replaced_bytes(folder / f"{identifier}.pt", content)
        replaced_text(folder / f"{identifier}.json", json.dumps(described, indent=2))
        return identifier

    def newest(self, model_digest: str, device: torch.device | None = None) -> StoredRealism | None:
        """What was saved last for a model; None when there is nothing. Raises `InputError` for damaged files."""
        identifier = self.newest_id(model_digest)
        return None if identifier is None else self.load(identifier, model_digest, device)

    def load(self, identifier: str, model_digest: str, device: torch.device | None = None) -> StoredRealism:
        """What has this id, for a model, on a device (the CPU by default).

        Raises:
            InputError: no id, or the files are damaged.
            NotFoundError: nothing has this id.
            ConflictError: it belongs to another model.
        """
        if not IDENTIFIER.fullmatch(identifier):
            msg = f"bad id {identifier[:40]!r}; 12 hexadecimal digits are accepted"
            raise InputError(msg)
        path = next(iter(sorted(self.root.glob(f"*/{identifier}.json"))), None)
        if path is None:
            known = sorted(file.stem for file in self._files(model_digest))
            make = ", ".join(known) or "none, learn them with slicerxai realism"
            msg = f"nothing was learned under {identifier!r}; of this model's images: {make}"
            raise NotFoundError(msg, accepted=known)
        content = self._content(path)
        if content["model_digest"] != model_digest:
            msg = f"{identifier} was learned for another model ({content['model']!r}); learn this one's images"
            raise ConflictError(msg)
        return StoredRealism(identifier, content["model"], content["created"], _read(path, content, device))

    @staticmethod
    def _content(path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            sound = content["format"] == FORMAT and bool(content["tensors"])
            float(content["created"]), str(content["model"]), str(content["model_digest"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            sound = False
        if not sound:
            raise _damaged(path)
        return content


def _damaged(path: Path) -> InputError:
    msg = f"what was learned under {path.stem} is damaged; delete {path.stem}.* below HOME/realism and learn it again"
    return InputError(msg)


def _identifier(realism: Realism) -> str:
    total = hashlib.sha256(f"{realism.model_digest}\n{realism.parameters.model_dump_json()}\n".encode())
    for name, tensor in sorted(_tensors(realism).items()):
        total.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return total.hexdigest()[:12]


def _tensors(realism: Realism) -> dict[str, torch.Tensor]:
    density = realism.density
    found = {f"autoencoder.{name}": tensor.cpu() for name, tensor in realism.autoencoder.state_dict().items()}
    found |= {"mean": density.mean.cpu(), "axes": density.axes.cpu(), "variances": density.variances.cpu()}
    return found | {"expected": realism.expected.cpu(), "reference": realism.reference}


def _read(path: Path, content: dict[str, Any], device: torch.device | None) -> Realism:
    import torch

    from slicerxai.alignment.autoencoder import Autoencoder
    from slicerxai.alignment.plausibility import Density, Realism

    try:
        data = path.with_suffix(".pt").read_bytes()
        if hashlib.sha256(data).hexdigest() != content["tensors"]:
            raise _damaged(path)
        tensors = torch.load(io.BytesIO(data), map_location=device or "cpu", weights_only=True)
        parameters = RealismParameters.model_validate(content["parameters"])
        with torch.random.fork_rng(devices=[]):
            network = Autoencoder(
                int(content["channels"]), tuple(content["shape"]), parameters.width, parameters.latent
            )
        weights = {name.removeprefix("autoencoder."): t for name, t in tensors.items() if "." in name}
        network.load_state_dict(weights)
        network.to(device or "cpu").eval().requires_grad_(requires_grad=False)
        density = Density(tensors["mean"], tensors["axes"], tensors["variances"], float(content["rest"]))
        reference = tensors["reference"].cpu()
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise _damaged(path) from error
    return Realism(content["model_digest"], network, tensors["expected"], density, reference, parameters)
