"""Several hosts on one machine: network namespaces, with a cable from each to one switch.

What crosses between them goes through TCP, as between machines, at a speed that is chosen.  It
needs Linux, root, iproute2 and MPICH's ``mpiexec``, which is told to enter a host where it would
call ssh.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Hosts", "hosts", "missing"]

# called as ssh is: flags, the host's address, a command
_ENTER = """#!/bin/sh
while [ "${1#-}" != "$1" ]; do shift; done
address=$1; shift
exec ip netns exec NAME-${address##*.} unshare --uts sh -c "hostname host${address##*.} && $*"
"""

# else MPICH finds that the hosts share their memory
_OVER_TCP = {"UCX_TLS": "tcp,self", "FI_PROVIDER": "tcp", "MPIR_CVAR_NOLOCAL": "1"}


def missing(mpiexec: str | None) -> str | None:
    """Return what hosts need and this machine lacks."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if not (shutil.which("ip") and shutil.which("tc") and shutil.which("unshare")):
        return "there is no ip, tc or unshare (iproute2, util-linux)"
    if mpiexec is None:
        return "there is no mpiexec"
    said = subprocess.run([mpiexec, "--version"], capture_output=True, text=True).stdout
    return None if "HYDRA" in said else "mpiexec is not MPICH's"


class Hosts:
    """`count` hosts under a `name` of at most 8 letters."""

    def __init__(self, name: str, count: int, folder: Path):
        self.name, self.count = name, count
        self.net = f"10.{os.getpid() % 250}.77"
        self.enter = folder / "enter"
        self.enter.write_text(_ENTER.replace("NAME", name))
        self.enter.chmod(0o755)

    def launcher(self, mpiexec: str) -> list[str]:
        """Return the words before a command that start a rank of it on each host."""
        named = ",".join(f"{self.net}.{i}" for i in range(1, self.count + 1))
        words = [mpiexec, "-launcher", "ssh", "-launcher-exec", str(self.enter)]
        for name, value in _OVER_TCP.items():
            words += ["-genv", name, value]
        words += ["-iface", self.name, "-localhost", f"{self.net}.254", "-hosts", named]
        return [*words, "-n", str(self.count)]

    def up(self, rate: str | None) -> None:
        _run(f"ip link add {self.name} type bridge")
        _run(f"ip addr add {self.net}.254/24 dev {self.name}")
        _run(f"ip link set {self.name} up")
        for i in range(1, self.count + 1):
            host, cable = f"{self.name}-{i}", f"{self.name}v{i}"
            _run(f"ip netns add {host}")
            _run(f"ip link add {cable} type veth peer name eth0 netns {host}")
            _run(f"ip link set {cable} master {self.name} up")
            _run(f"ip -n {host} addr add {self.net}.{i}/24 dev eth0")
            _run(f"ip -n {host} link set eth0 up")
            _run(f"ip -n {host} link set lo up")
            if rate is not None:  # of what the host sends
                _run(f"tc -n {host} qdisc add dev eth0 root tbf rate {rate} burst 256k latency 1s")

    def down(self) -> None:
        for i in range(1, self.count + 1):
            subprocess.run(["ip", "netns", "del", f"{self.name}-{i}"], capture_output=True)
        subprocess.run(["ip", "link", "del", self.name], capture_output=True)

    def unplug(self, host: int) -> None:
        """Pull out the cable of a host, counted from 1."""
        _run(f"ip link set {self.name}v{host} down")

    def sent(self, host: int) -> int:
        """Return the bytes that a host has sent."""
        # what comes out of the cable at the switch
        path = Path(f"/sys/class/net/{self.name}v{host}/statistics/rx_bytes")
        return int(path.read_text())


def _run(command: str) -> None:
    done = subprocess.run(command.split(), capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")


@contextmanager
def hosts(count: int, rate: str | None = None) -> Iterator[Hosts]:
    """Make hosts, whose cables carry `rate`, as ``tc`` writes it: ``1gbit``; take them down after.

    Raises
    ------
    OSError
        If the system does not let them be made.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Hosts(f"tg{os.getpid() % 100000}", count, Path(folder))
        try:
            made.up(rate)
            yield made
        finally:
            made.down()
