"""Keeping freed memory: only commands do it, and it spares the page faults."""

import platform
import subprocess
import sys

import pytest

STEP = """
import resource, sys
import numpy as np
from tinygan.machine.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(1 << 18)  # 2 MB, the next one 64 MB: both sides of every threshold
        np.ones(1 << 23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


def _faults(mode):
    done = subprocess.run(
        [sys.executable, "-c", STEP, mode], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="knows GNU's C library only")
def test_freed_memory_is_used_again_without_page_faults():
    assert _faults("keep") < 20
    assert _faults("leave") > 20 * _faults("keep")


def test_importing_tinygan_leaves_the_allocator_alone():
    code = STEP.replace("import numpy as np", "import numpy as np\nimport tinygan, tinygan.train")
    done = subprocess.run(
        [sys.executable, "-c", code, "leave"], capture_output=True, text=True, check=True
    )
    if platform.libc_ver()[0] == "glibc":
        assert int(done.stdout) > 100


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="knows GNU's C library only")
def test_the_training_command_keeps_its_memory():
    command = """
from contextlib import redirect_stdout, suppress
from io import StringIO
from tinygan.train.__main__ import main
with suppress(SystemExit), redirect_stdout(StringIO()):
    sys.argv[1:] = ["dcgan", "--preset"]
    main()  # as the process's own command
"""
    code = STEP.replace("def faults", command + "def faults")
    done = subprocess.run(
        [sys.executable, "-c", code, "leave"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 20
