"""Every wrong implementation is caught, no right one accused, and the cause is named.

``TINYGAN_MUTANT_SEEDS=20`` checks each with so many different inputs; the default is one.
"""

import os

import pytest
from mutants import RIGHT, WRONG

SEEDS = range(int(os.environ.get("TINYGAN_MUTANT_SEEDS", "1")))


def by_id(specimens):
    return pytest.mark.parametrize("specimen", specimens, ids=lambda specimen: specimen.id)


def test_there_are_enough_of_each():
    assert len(WRONG) >= 60
    assert len(RIGHT) >= 30
    assert len({specimen.id for specimen in RIGHT + WRONG}) == len(RIGHT + WRONG)


@by_id(RIGHT)
def test_no_right_implementation_is_accused(specimen):
    for seed in SEEDS:
        report = specimen.check(seed)
        assert report.ok, report


@by_id(WRONG)
def test_every_wrong_implementation_is_caught(specimen, named):
    for seed in SEEDS:
        report = specimen.check(seed)
        assert not report.ok, report
        named.append((specimen, report))


@pytest.fixture(scope="module")
def named():
    """Collect what was named over the whole module, and look at the share at its end."""
    found = []
    yield found
    right = [report.cause and report.cause.kind in (s.cause, *s.also) for s, report in found]
    if len(found) >= len(WRONG):
        share = sum(map(bool, right)) / len(right)
        assert share >= 0.85, f"the cause is right in {share:.0%} only"


def test_the_message_shows_the_numbers_and_the_cause():
    (specimen,) = [s for s in WRONG if s.id == "conv: dx with the kernel flipped"]
    text = str(specimen.check(0))
    for part in ("WRONG x (2, 6, 5, 2)", "analytic", "numeric", "relative error", "worst at ("):
        assert part in text
    assert "`c[1][::-1, ::-1]`: c[1] itself is due here" in text
