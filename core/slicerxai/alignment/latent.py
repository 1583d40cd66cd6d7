"""Counterfactuals in the latent space of an autoencoder: changes that it can draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from slicerxai.alignment.autoencoder import Autoencoder
from slicerxai.alignment.counterfactual import Counterfactuals, counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.losses import Loss, rows_of
from slicerxai.progress import Progress, silent


@dataclass(frozen=True)
class LatentCounterfactuals:
    """Counterfactuals found in a latent space.

    Attributes:
        images: (B, C, *spatial), x0 + change.
        change: (B, C, *spatial), decode(z*) - decode(z0) where a change is allowed, within the bounds of values.
        latent: of z (B, D, *latent shape): residual, iterations, loss and weight are those of the latent problem.
    """

    images: Tensor
    change: Tensor
    latent: Counterfactuals


def latent_counterfactual(
    loss: Loss,
    autoencoder: Autoencoder,
    images: Tensor,
    parameters: SolverParameters,
    *,
    allowed: Tensor | None = None,
    start: Tensor | None = None,
    progress: Progress = silent,
) -> LatentCounterfactuals:
    """Eq. 2 in latent space: z* = argmin over z of loss(x0 + decode(z) - decode(z0)) + alpha · d(z, z0).

    What the autoencoder cannot draw of the original image stays in it: only the change is drawn.

    Args:
        loss: of images (B, C, *spatial), (B,).
        autoencoder: of images of this shape.
        images: (B, C, *spatial), x0.
        parameters: of the search; its bounds hold for the images, of which a value beyond them may stay.
        allowed: broadcastable to the images, not 0 where a change is allowed.
        start: (B, D, *latent shape), a change of z to begin with (`latent.change` of an earlier search).
        progress: called at each step.
    """
    drawing = _Drawing(autoencoder, loss, images.detach(), parameters, allowed)
    unbound = parameters.model_copy(update={"low": None, "high": None})
    found = counterfactual(drawing, drawing.coded, unbound, start=start, progress=progress)
    with torch.no_grad():
        change = drawing.change(found.images)
    return LatentCounterfactuals(images + change, change, found)


class _Drawing:
    """Loss of latent maps; see `RowLoss`."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        loss: Loss,
        images: Tensor,
        parameters: SolverParameters,
        allowed: Tensor | None,
        coded: Tensor | None = None,
    ) -> None:
        self.autoencoder, self.loss, self.images, self.parameters = autoencoder, loss, images, parameters
        self.allowed = None if allowed is None else allowed.to(torch.bool).expand_as(images)
        with torch.no_grad():
            self.coded = autoencoder.encode(images) if coded is None else coded
            self.drawn = autoencoder.decode(self.coded)

    def __call__(self, latent: Tensor) -> Tensor:
        return self.loss(self.images + self.change(latent))

    def change(self, latent: Tensor) -> Tensor:
        """(B, C, *spatial)."""
        change = self.autoencoder.decode(latent) - self.drawn
        if self.parameters.low is not None:
            change = torch.maximum(change, (self.parameters.low - self.images).clamp_max(0))
        if self.parameters.high is not None:
            change = torch.minimum(change, (self.parameters.high - self.images).clamp_min(0))
        return change if self.allowed is None else torch.where(self.allowed, change, 0)

    def rows(self, index: Tensor) -> _Drawing:
        """The loss of some images of the batch."""
        loss = rows_of(self.loss, self.images, index)
        allowed = None if self.allowed is None else self.allowed[index]
        return _Drawing(self.autoencoder, loss, self.images[index], self.parameters, allowed, self.coded[index])
