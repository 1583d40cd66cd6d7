"""`CITATION.cff` is what the Citation File Format 1.2.0 asks for, and of this version."""

import re
from pathlib import Path

import yaml

from slicerxai import __version__

CITATION = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
REQUIRED = {"cff-version", "message", "title", "authors"}
ALLOWED = REQUIRED | {"abstract", "type", "version", "license", "keywords", "references", "date-released", "doi", "url"}
PERSON = {"family-names", "given-names", "orcid", "affiliation"}


def test_fields_of_the_format():
    assert set(CITATION) >= REQUIRED
    assert set(CITATION) <= ALLOWED
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert all(isinstance(word, str) for word in CITATION["keywords"])
    assert len(CITATION["keywords"]) == len(set(CITATION["keywords"]))


def test_of_this_version_and_licence():
    root = Path(__file__).parents[2]
    assert CITATION["version"] == __version__
    assert f'license = "{CITATION["license"]}"' in (root / "pyproject.toml").read_text()


def test_whoever_is_named_has_a_name():
    references = CITATION["references"]
    assert all({"type", "title", "authors"} <= set(reference) for reference in references)
    assert all(1900 < reference["year"] < 2100 for reference in references)
    for author in [author for work in (CITATION, *references) for author in work["authors"]]:
        assert set(author) == {"name"} or set(author) <= PERSON
        assert all(re.search(r"\w", value) for value in author.values())
