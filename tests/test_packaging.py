"""What is shipped is whole: one version, all files, types."""

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import tinygan

ROOT = Path(__file__).parents[1]
SHIPPED = {".ci", "benchmarks", "docs", "tests", "tinygan", "tutorials"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_stands_in_one_place(project):
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "tinygan.__version__"}
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert cited[1] == tinygan.__version__


def test_the_package_says_that_it_is_typed(project):
    assert (ROOT / "tinygan" / "py.typed").exists()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["tinygan"]


def test_every_file_of_the_package_is_shipped(project):
    given = project["tool"]["setuptools"]["package-data"]
    shipped = set()
    for package, patterns in given.items():
        folder = ROOT / package.replace(".", "/")
        shipped |= {path for pattern in patterns for path in folder.glob(pattern)}
    others = (p for p in (ROOT / "tinygan").rglob("*") if p.is_file())
    due = {p for p in others if p.suffix not in (".py", ".pyc") and "__pycache__" not in p.parts}
    assert due - shipped == set()


def test_the_description_needs_no_repository_around_it(project):
    text = (ROOT / project["project"]["readme"]).read_text()
    assert re.findall(r"\]\((?!https://)[^)]*\)|<img|src=", text) == []
    assert all(url.startswith("https://") for url in project["project"]["urls"].values())


def test_every_dependency_has_a_lowest_version_and_numpy_2_is_admitted(project):
    lowest = {}
    for line in project["project"]["dependencies"]:
        name, version = line.split(">=")
        lowest[name] = tuple(int(part) for part in version.split("."))
    assert lowest["numpy"] >= (2, 0)
    assert lowest["matplotlib"] >= (3, 9), "earlier ones exclude NumPy 2"


def test_the_source_distribution_holds_the_tests_and_all_they_need(tmp_path):
    pytest.importorskip("setuptools", minversion="77")
    if not (ROOT / "MANIFEST.in").exists() or not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    names = "git", "ls-files", "-z", *sorted(SHIPPED)
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("git is not there")
    source = tmp_path / "source"
    for name in [*listed.stdout.split("\0")[:-1], "pyproject.toml", "README.md", "MANIFEST.in"]:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    code = "from setuptools import build_meta; print(build_meta.build_sdist('.'))"
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [archive] = source.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    due = {n for n in listed.stdout.split("\0")[:-1] if (ROOT / n).is_file()}
    assert due - inside == set()
