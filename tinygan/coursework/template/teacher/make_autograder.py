"""Pack the autograder: ``python make_autograder.py`` writes autograder.zip beside this file."""

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from tinygan.coursework.wheel import wheel

HERE = Path(__file__).resolve().parent
STUDENT = HERE.parent / "student"


def main():
    files = {name: HERE / "autograder" / name for name in ("setup.sh", "run_autograder")}
    files["pytest.ini"] = STUDENT / "pytest.ini"
    files["my_layers.py"] = STUDENT / "exercises" / "my_layers.py"
    for folder in (STUDENT / "tests", HERE / "tests"):
        files |= {f"tests/{path.name}": path for path in sorted(folder.glob("test_*.py"))}
    contents = {name: path.read_bytes() for name, path in files.items()}
    name, content = wheel()  # the tinygan that is installed here: what you tried is what grades
    contents[name] = content
    with ZipFile(HERE / "autograder.zip", "w", ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = ZipInfo(name)
            script = "." not in name or name.endswith(".sh")
            entry.external_attr = (0o755 if script else 0o644) << 16
            entry.compress_type = ZIP_DEFLATED
            archive.writestr(entry, content)
    print(f"autograder.zip: {len(contents)} files")


if __name__ == "__main__":
    main()
