"""What the README shows is run as it stands."""

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_example_runs_and_learns():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["adam_G"].steps == names["adam_D"].steps == 1
    assert names["fake"].shape == names["x"].shape
    assert any(parameter.grad.any() for parameter in names["G"].parameters())


def test_its_links_lead_somewhere():
    root = Path(__file__).parent.parent
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []
