#!/usr/bin/env bash
# Gradescope runs this once, when the autograder's image is built.  It wants Python 3.11 or later:
# choose the image "Ubuntu 24.04" (22.04 has Python 3.10 only).
set -euo pipefail
source=$(cd "$(dirname "$0")" && pwd)
apt-get update
apt-get install -y python3 python3-pip python3-venv
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "tinygan needs Python 3.11 or later, this image has $(python3 --version):" >&2
    echo "choose the base image Ubuntu 24.04 in the autograder's settings" >&2
    exit 1
fi
python3 -m venv /autograder/venv
# tinygan itself comes with this zip; what it needs (NumPy, …) comes from the package index
/autograder/venv/bin/pip install "$source"/tinygan-*.whl "pytest>=8"
/autograder/venv/bin/python -c 'import tinygan, numpy; print("ready: numpy", numpy.__version__)'
