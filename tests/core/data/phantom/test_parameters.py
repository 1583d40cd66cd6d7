from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from slicerxai.data.phantom import PhantomParameters, Population


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"patients": 0}, "greater than or equal to 1"),
        ({"spacing": 1.5}, "spacing is 1 or 2 mm, got 1.5"),
        ({"centres": ("1",)}, "two digits"),
        ({"centres": ("../x",)}, "two digits"),
        ({"centres": ("01", "01")}, "named twice"),
        ({"centres": ("99",)}, "no acquisition style for 99"),
        ({"raters": ("a",)}, "one digit"),
        ({"raters": ("8",)}, "no annotation style for 8"),
        ({"load_min_ml": 10, "load_max_ml": 5}, "exceeds"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_bad_parameters_are_refused_by_name(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        PhantomParameters.model_validate(given)


def test_every_parameter_is_described() -> None:
    assert all(field.description for field in PhantomParameters.model_fields.values())


def test_quantiles_of_the_population() -> None:
    population = Population(age_mean=40, age_sd=10, load_median_ml=8, load_spread=1)
    assert population.age(0.5) == pytest.approx(40)
    assert population.age(0.8413447) == pytest.approx(50, abs=1e-3)
    assert population.load(0.5) == pytest.approx(8)
    assert population.load(0.8413447) == pytest.approx(8 * 2.718281828, rel=1e-4)
    assert population.age(0.9999999) == 75


def test_affected_regions_follow_the_draws() -> None:
    chances = {"periventricular": 0.5, "juxtacortical": 0.4, "infratentorial": 0.3, "deep white matter": 0.2}
    population = Population(affected=chances)
    assert Population().regions(np.zeros(4)) is None
    assert population.regions(np.array([0.6, 0.3, 0.29, 0.9])) == (2, 3)
    assert population.regions(np.array([0.9, 0.9, 0.9, 0.21])) == (4,)  # none: the one that came closest
    draws = np.random.default_rng(0).random((4000, 4))
    affected = [population.regions(row) or () for row in draws]
    for label, chance in enumerate(chances.values(), start=1):
        assert abs(np.mean([label in regions for regions in affected]) - chance) < 0.1
    with pytest.raises(ValidationError, match="every region"):
        Population(affected={"periventricular": 0.5})
