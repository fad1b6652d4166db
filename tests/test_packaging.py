"""What is shipped is whole: one version, all files, types."""

import importlib.util
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest

import tinygan

ROOT = Path(__file__).parents[1]
SHIPPED = {".ci", ".github", "benchmarks", "docs", "tests", "tinygan", "tutorials"}


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


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with both distributions, built from what git has; and the names of its files."""
    pytest.importorskip("setuptools", minversion="77")
    if not (ROOT / "MANIFEST.in").exists() or not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    names = "git", "ls-files", "-z", *sorted(SHIPPED)
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("git is not there")
    source = tmp_path_factory.mktemp("built") / "source"
    due = {name for name in listed.stdout.split("\0")[:-1] if (ROOT / name).is_file()}
    for name in due | {"LICENSE", "pyproject.toml", "README.md", "MANIFEST.in"}:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    code = (
        "from setuptools import build_meta as b; import os; os.mkdir('../dist'); "
        "b.build_sdist('../dist'); b.build_wheel('../dist')"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return source.parent / "dist", due


def test_the_source_distribution_holds_the_tests_and_all_they_need(built):
    folder, due = built
    [archive] = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        inside = {name.partition("/")[2] for name in file.getnames()}
    assert due - inside == set()


def test_the_source_distributions_tests_are_collected_and_run(built, tmp_path):
    [archive] = built[0].glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    [root] = tmp_path.iterdir()
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    for words, expected in ((["--collect-only"], "tests/test_losses.py: "),
                            (["tests/test_losses.py"], " [100%]")):  # fmt: skip
        done = subprocess.run([*pytest_, *words], cwd=root, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
        assert expected in done.stdout


@pytest.mark.parametrize("tool", ["twine check --strict", "check_wheel_contents"])
def test_the_distributions_pass_the_fields_checks(built, tool):
    module, *words = tool.split()
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    files = sorted(built[0].glob("*.whl" if module == "check_wheel_contents" else "*"))
    done = subprocess.run(
        [sys.executable, "-m", module, *words, *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_citation_is_valid():
    citation = pytest.importorskip("cffconvert.cli.create_citation", reason="no cffconvert")
    citation.create_citation(str(ROOT / "CITATION.cff"), None).validate()


def test_the_release_workflow_checks_before_it_publishes():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    jobs = flow["jobs"]
    assert jobs["publish"]["needs"] == "test"
    assert jobs["test"]["needs"] == "build"
    said = "\n".join(step.get("run", "") for step in jobs["build"]["steps"])
    for command in ("python -m build", "twine check --strict", "check-wheel-contents"):
        assert command in said
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert flow["permissions"] == {"contents": "read"}


def test_every_extra_that_a_message_names_is_there(project):
    extras = project["project"]["optional-dependencies"]
    files = [*(ROOT / "tinygan").rglob("*.py"), *(ROOT / "docs").glob("*.rst"), ROOT / "README.md"]
    named = {
        extra
        for file in files
        for found in re.findall(r"tinygan\[([\w,]+)\]", file.read_text(encoding="utf-8"))
        for extra in found.split(",")
    }
    assert {"heif", "onnx", "tensorboard"} <= named
    assert named - set(extras) == set()
