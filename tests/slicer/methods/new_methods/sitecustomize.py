"""Registers two methods that the extension has never heard of, in every process of a server: Python imports this."""

from slicerxai.explain.registry import METHODS, Entry

for subject in ("case", "cohort"):
    METHODS[f"toy_{subject}"] = Entry(
        name=f"toy_{subject}",
        subject=subject,
        title=f"Toy of a {subject}",
        summary="What lies around a point.",
        parameters=f"toy_parameters:Toy{subject.capitalize()}Parameters",
        explainer=f"toy_methods:Toy{subject.capitalize()}",
    )
