"""Replay the Dockerfile without an engine: its steps in a root of their own, and the service as the image's user.

    sudo python deploy/replay_dockerfile.py

Where no Docker engine can run, this is the nearest proof: every COPY, RUN, WORKDIR, USER, ENV, HEALTHCHECK and CMD of
the file is carried out with a new folder as its root, in mounts that only this program sees; of the machine it has
/usr, the interpreter that runs this and pip's folders of packages, all read-only. Then the service is started as the
image would start it, by its user, whose home is empty, and asked for a poem. What it cannot show: the base image, the
port mapping, and uv's choice of torch's CPU build: pip installs in its place, from wherever this machine has its
packages. It needs root, and Linux.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
INSIDE = "REFRAIN_REPLAY_ROOT"
"""Names the new root to the copy of this program that runs with mounts of its own."""
ETC = (
    "group",
    "passwd",
    "shadow",
    "hosts",
    "resolv.conf",
    "login.defs",
    "ssl",
    "pip.conf",
    "ld.so.cache",
)


def instructions(text: str) -> list[tuple[str, str]]:
    """Split a Dockerfile to (instruction, argument), with continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", text)
    lines = [line.strip() for line in joined.splitlines()]
    pairs = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    return [(name.upper(), argument) for name, argument in pairs]


def _with_pip(command: str) -> str:
    """Have pip do what the image leaves to uv."""
    command = re.sub(r"uv pip install (.*)--python (\S+)", r"\2 -m pip install \1", command)
    return command.replace("--torch-backend cpu", "").replace("--no-cache ", "--quiet ")


def prepare(root: Path) -> None:
    """Fill a new root with what the base image would have: programs, an interpreter, users, devices."""
    for name in ("etc", "tmp", "root", "home"):
        (root / name).mkdir()
    (root / "tmp").chmod(0o1777)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    for name in ETC:
        origin = Path("/etc") / name
        if origin.is_dir():
            shutil.copytree(origin, root / "etc" / name, symlinks=True)
        elif origin.is_file():
            shutil.copy(origin, root / "etc" / name)
    for name in ("passwd", "group"):  # a base image has no users of its own yet
        path = root / "etc" / name
        lines = path.read_text("utf-8").splitlines(keepends=True)
        path.write_text("".join(x for x in lines if not 1000 <= int(x.split(":")[2]) < 60_000))
    packages = os.environ.get("PIP_FIND_LINKS", "").split()
    for origin in {"/usr", sys.base_prefix, *packages}:
        if Path(origin).is_dir():
            _mount(Path(origin), root, is_writable=False)
    for origin in ("/proc", "/dev"):
        _mount(Path(origin), root, is_writable=True)


def _mount(origin: Path, root: Path, *, is_writable: bool) -> None:
    goal = root / origin.relative_to("/")
    goal.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--rbind", origin, goal], check=True)
    if not is_writable:
        subprocess.run(["mount", "-o", "remount,bind,ro", goal], check=True)


class Replay:
    """One clean root that stands for the file system of the image."""

    def __init__(self, root: Path, port: int) -> None:
        self._root = root
        self._workdir = "/"
        self._user = 0
        self._port = port
        self.environment = {"PATH": f"{sys.base_prefix}/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        self._for_pip = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))}
        self.command: list[str] = []
        self.health: list[str] = []

    def run(self, name: str, argument: str) -> None:
        """Carry out one instruction."""
        print(f"{name} {argument}"[:150], flush=True)
        match name:
            case "FROM":
                shutil.rmtree(self._root / "src", ignore_errors=True)  # the first stage ends here
                self._workdir = "/"
            case "WORKDIR":
                self._workdir = argument
                (self._root / argument.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "USER":
                passwd = (self._root / "etc/passwd").read_text("utf-8")
                self._user = int(re.findall(rf"^{argument}:[^:]*:(\d+)", passwd, re.M)[0])
            case "COPY" if "--from=" not in argument:
                self._copy(argument.split())
            case "RUN" if not argument.startswith("pip install"):
                shell = ["bash", "-euc", _with_pip(argument)]
                self._start(shell, self._for_pip).wait() and sys.exit(f"failed: {argument}")
            case "ENV":
                for pair in shlex.split(argument):
                    key, _, value = pair.partition("=")
                    self.environment[key] = value.replace("$PATH", self.environment["PATH"])
            case "CMD":
                self.command = json.loads(argument)
            case "HEALTHCHECK":
                self.health = json.loads(argument[argument.index("CMD ") + 4 :])

    def _copy(self, arguments: list[str]) -> None:
        *sources, target = arguments
        for source in sources:
            origin = REPOSITORY / source
            folder = self._root / self._workdir.lstrip("/")
            goal = folder / (target if not target.endswith("/") else target + source)
            if origin.is_dir():
                unwanted = shutil.ignore_patterns("__pycache__", "*.so")
                shutil.copytree(origin, goal, symlinks=True, ignore=unwanted)
            else:
                shutil.copy(origin, goal)

    def _start(
        self, command: Sequence[str], extra: dict[str, str] | None = None, **options: int
    ) -> subprocess.Popen[bytes]:
        """Start a command in the root, as the user of the moment and in the folder of the moment."""
        home = "/root" if self._user == 0 else "/home/refrain"
        environment = {**self.environment, "HOME": home, **(extra or {})}
        chroot = ["chroot", f"--userspec={self._user}:{self._user}", str(self._root)]
        inside = ["/usr/bin/env", f"--chdir={self._workdir}", *command]
        return subprocess.Popen([*chroot, *inside], env=environment, **options)

    def serve(self) -> None:
        """Start the service as the image would, check its health, and ask it for a poem."""
        self.environment |= {"REFRAIN_PORT": str(self._port), "REFRAIN_HOST": "127.0.0.1"}
        service = self._start(self.command)
        try:
            self._wait_until_healthy(service)
            print(f"served by the user {Path(f'/proc/{service.pid}').stat().st_uid}")
            print(ask(self._port, "/generate", {"prompt": "春", "max_tokens": 24, "seed": 1}))
        finally:
            service.terminate()
            service.wait(timeout=30)

    def _wait_until_healthy(self, service: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and service.poll() is None:
            if self._start(self.health, stderr=subprocess.DEVNULL).wait() == 0:
                return
            time.sleep(0.5)
        raise SystemExit("the service did not become ready")


def ask(port: int, path: str, body: dict[str, object]) -> str:
    """Post JSON and return the answer as text."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        text: str = response.read().decode()
        return text


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def replay(root: Path) -> None:
    """Replay every instruction in a root, then serve."""
    prepare(root)
    image = Replay(root, free_port())
    for name, argument in instructions((REPOSITORY / "Dockerfile").read_text("utf-8")):
        image.run(name, argument)
    image.serve()
    print("the Dockerfile's steps build and serve")


def main() -> int:
    """Run this program again with mounts of its own, which go with it."""
    if root := os.environ.get(INSIDE):
        replay(Path(root))
        return 0
    with tempfile.TemporaryDirectory(prefix="refrain-image-") as folder:
        Path(folder).chmod(0o755)
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, __file__],
            env={**os.environ, INSIDE: folder},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
