"""One small cohort that the tests of this folder share."""

from __future__ import annotations

import pytest

from slicerxai.data.phantom import PhantomParameters, Truth, truth_of


@pytest.fixture(scope="session")
def parameters() -> PhantomParameters:
    return PhantomParameters(patients=1, seed=7)


@pytest.fixture(scope="session")
def truth(parameters: PhantomParameters) -> Truth:
    return truth_of(parameters, 1)
