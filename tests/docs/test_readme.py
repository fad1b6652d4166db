"""What the README shows is run as it stands."""

import re
from pathlib import Path

import numpy as np

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_example_runs_and_learns():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["adam_G"].steps == names["adam_D"].steps == 1
    assert names["fake"].shape == names["x"].shape
    assert any(parameter.grad.any() for parameter in names["G"].parameters())


def test_the_example_stands_a_loop():
    """Each step learns from its own gradients: what an earlier one gathered is cleared."""
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    start = code.index("fake, fake_backward = G(z)")
    names: dict = {}
    exec(code[:start], names)
    G, D = names["G"], names["D"]
    for _ in range(3):
        before = G.state_dict(), D.state_dict()
        exec(code[start:], names)
    assert names["adam_G"].steps == names["adam_D"].steps == 3
    gathered = [parameter.grad.copy() for parameter in D.parameters()]
    G.load_state_dict(before[0]), D.load_state_dict(before[1])
    for parameter in G.parameters() + D.parameters():
        parameter.grad[...] = 0
    exec(code[start:], names)
    for parameter, gradient in zip(D.parameters(), gathered, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_it_lists_every_tutorial_with_its_minutes():
    for path in sorted((Path(__file__).parents[2] / "tutorials").glob("[0-9][0-9]_*.py")):
        minutes = re.search(r"^:Time: (\d+) minutes", path.read_text("utf-8"), re.M)[1]
        row = rf"^\| {int(path.stem[:2])} \| \[.+\]\(tutorials/{path.name}\) \| {minutes} \|$"
        assert re.search(row, README, re.M), path.name


def test_its_links_lead_somewhere():
    root = Path(__file__).parents[2]
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
