"""Do what a student and a teacher do, from an empty folder, and record what they see.

``python docs/course_paths.py`` writes docs/recorded/student.txt and teacher.txt, which the page on
teaching shows.  Run it again when a message of the course changes; a test says when.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
RELU = """def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, cache):
    return dy * (MASK > 0)
"""

STUDENT = [
    "python -m venv .venv && . .venv/bin/activate",
    'pip install --quiet "pytest>=8" tinygan-*.whl',
    "pytest tests/test_01_relu.py",
    "# relu.py, first try: return dy * (dy > 0)",
    "pytest tests/test_01_relu.py",
    "# second try: return dy * (cache > 0)",
    "pytest tests/test_01_relu.py",
]
TEACHER = [
    "tinygan coursework new course",
    "cd course && ls student teacher",
    "(cd teacher && python make_autograder.py)",
    "ls ../submissions",
    "tinygan coursework grade ../submissions --csv grades.csv --out pages",
    "cut -d, -f 1-4 grades.csv",
]


def run(commands, folder, before, environment=""):
    """Run the commands in one shell, one after another; return what a terminal shows."""
    shown, script = [], "set +e\n" + environment
    for i, command in enumerate(commands):
        script += f"echo @@{i}\n"
        script += before.get(i, "") if command.startswith("#") else f"{command}\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    parts = re.split(r"^@@\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    for command, output in zip(commands, parts, strict=True):
        output = re.sub(r" in [\d.]+s", "", output).replace(str(folder), "")
        shown.append(f"$ {command}\n{output}" if not command.startswith("#") else f"{command}\n")
    if done.stderr.strip():
        print(done.stderr, file=sys.stderr)
    return "".join(shown)


def main():
    python = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as empty:
        path = f"export PATH={python}:$PATH\n"
        subprocess.run(
            [sys.executable, "-m", "tinygan.coursework", "new", f"{empty}/course"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        exercise = "import numpy as np\n\n\n" + RELU
        tries = {
            i: f"cat > exercises/relu.py <<'END'\n{exercise.replace('MASK', mask)}END\n"
            for i, mask in ((3, "dy"), (5, "cache"))
        }
        text = run(STUDENT, Path(empty, "course", "student"), tries)
        (HERE / "recorded" / "student.txt").write_text(text, encoding="utf-8")
        for name, mask in (("ada", "cache"), ("bob", "dy")):
            folder = Path(empty, "work", "submissions", name)
            folder.mkdir(parents=True)
            (folder / "relu.py").write_text(exercise.replace("MASK", mask))
        text = run(TEACHER, Path(empty, "work"), {}, path)
        (HERE / "recorded" / "teacher.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
