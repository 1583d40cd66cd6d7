"""A synthetic multiple-sclerosis cohort with known truth, in which every mechanism can be changed on its own."""

from slicerxai.data.phantom.centres import CENTRES, NEUTRAL, VARIED, AcquisitionStyle
from slicerxai.data.phantom.cohort import write_cohort
from slicerxai.data.phantom.lesions import REGIONS
from slicerxai.data.phantom.parameters import PhantomParameters, Population
from slicerxai.data.phantom.patient import PhantomPatient, Truth, simulate, simulate_truth, truth_of
from slicerxai.data.phantom.raters import PERFECT, RATERS, AnnotationStyle, consensus

__all__ = [
    "CENTRES",
    "NEUTRAL",
    "PERFECT",
    "RATERS",
    "REGIONS",
    "VARIED",
    "AcquisitionStyle",
    "AnnotationStyle",
    "PhantomParameters",
    "PhantomPatient",
    "Population",
    "Truth",
    "consensus",
    "simulate",
    "simulate_truth",
    "truth_of",
    "write_cohort",
]
