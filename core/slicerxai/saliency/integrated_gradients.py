"""Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365) through captum."""

from __future__ import annotations

from torch import Tensor

from slicerxai.progress import Progress, silent
from slicerxai.saliency.attribution import Accumulator, Attribution
from slicerxai.saliency.target import Target


def integrated_gradients(target: Target, baseline: Tensor, steps: int, progress: Progress = silent) -> Attribution:
    """R = (x − b) ⊙ ∫₀¹ ∂T/∂x (b + α(x − b)) dα, Gauss–Legendre.

    The straight path of the volume is the straight path of each window, so the windows' maps add up. Sums to
    T(x) − T(b) up to the error of the quadrature.

    Args:
        baseline: b, same shape as the image.
        steps: number of quadrature nodes.
    """
    from captum.attr import IntegratedGradients

    accumulator, count = Accumulator(target), len(target.windows)
    for index in range(count):
        done = 0

        def forward(x: Tensor, index: int = index) -> Tensor:
            nonlocal done
            progress((index + min(1.0, done / steps)) / count, f"patch {index + 1} of {count}, step {done} of {steps}")
            done += len(x)
            logits = target.network(x)
            return (logits * target.weights([index], logits)).flatten(1).sum(1)

        accumulator.run(index)
        part = IntegratedGradients(forward).attribute(
            target.crop(target.tensor, [index]),
            baselines=target.crop(baseline, [index]),
            n_steps=steps,
            internal_batch_size=target.batch,
        )
        accumulator.add_map([index], part)
    before = sum(target.evaluate(baseline))
    return Attribution(
        accumulator.relevance,
        accumulator.decision,
        tuple(accumulator.windows),
        expected=sum(accumulator.windows) - before,
        expectation="the change of the decision against the baseline image",
    )
