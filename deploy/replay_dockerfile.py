"""Replay the Dockerfile without an engine: its steps in roots of their own, and the service as the image's user.

    sudo python deploy/replay_dockerfile.py

Where no Docker engine can run, this is the nearest proof. Each stage has a new folder as its root, in mounts and
processes that only this program sees; of the machine it has /usr, the interpreter that runs this and pip's folders of
packages, read-only. COPY (from the tree and from an earlier stage), RUN, WORKDIR, USER, ENV, HEALTHCHECK and CMD are
carried out; another instruction ends the replay. Then the service is started as the image would start it, by its user,
whose home is empty, and asked for a poem. What it cannot show: the base image, the port mapping, and uv's choice of
torch's CPU build: `RUN pip install uv` is passed over, and pip installs in uv's place, from wherever this machine has
its packages.

It needs root, and Linux. Steps and machine are kept apart for a fair trial, not for safety: replay no Dockerfile but
your own.
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
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
USERS = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "group": "root:x:0:\n",
    "shadow": "root:*:1:0:99999:7:::\n",
}
"""What a base image has; the machine's own users are not its business."""
ETC = ("hosts", "resolv.conf", "login.defs", "ld.so.cache", "ssl/certs", "pip.conf")


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
    """Fill a new root with what the base image would have: programs, an interpreter, devices, no users."""
    for name in ("etc", "tmp", "root", "home", "proc", "dev", "dev/shm"):
        (root / name).mkdir()
    for name in ("tmp", "dev/shm"):
        (root / name).chmod(0o1777)
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    _write_etc(root)
    packages = os.environ.get("PIP_FIND_LINKS", "").split()
    for folder in {"/usr", sys.base_prefix, *packages}:
        if Path(folder).is_dir():
            _bind(Path(folder), root)
            goal = root / folder.lstrip("/")
            subprocess.run(["mount", "-o", "remount,bind,ro", goal], check=True)
    for device in DEVICES:
        (root / "dev" / device).touch()
        _bind(Path("/dev") / device, root)
    subprocess.run(["mount", "-t", "proc", "proc", root / "proc"], check=True)


def _write_etc(root: Path) -> None:
    for name, text in USERS.items():
        (root / "etc" / name).write_text(text, "utf-8")
    for name in ETC:
        origin, goal = Path("/etc") / name, root / "etc" / name
        goal.parent.mkdir(exist_ok=True)
        if origin.is_dir():
            shutil.copytree(origin, goal)
        elif origin.is_file():
            shutil.copy(origin, goal)


def _bind(origin: Path, root: Path) -> None:
    goal = root / origin.relative_to("/")
    if origin.is_dir():
        goal.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", origin, goal], check=True)


def ignored_patterns() -> list[str]:
    """Read what the build's context leaves out."""
    lines = (REPOSITORY / ".dockerignore").read_text("utf-8").split()
    return [line.removeprefix("**/") for line in lines]


class Replay:
    """The file systems of the stages, of which the last is the image's."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._stages: dict[str, Path] = {}
        self._port = port
        self._for_pip = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_"))}

    def begin_stage(self, argument: str) -> None:
        """Make a new root: what the base image would be."""
        name = argument.partition(" AS ")[2] or str(len(self._stages))
        self._root = self._stages[name] = self._folder / name
        self._root.mkdir()
        prepare(self._root)
        self._workdir, self._user = "/", 0
        self.environment = {"PATH": f"{sys.base_prefix}/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        self.command: list[str] = []
        self.health: list[str] = []

    def run(self, name: str, argument: str) -> None:
        """Carry out one instruction."""
        print(f"{name} {argument}"[:150], flush=True)
        match name:
            case "FROM":
                self.begin_stage(argument)
            case "WORKDIR":
                self._workdir = argument
                self._inside(argument).mkdir(parents=True, exist_ok=True)
            case "USER":
                passwd = (self._root / "etc/passwd").read_text("utf-8")
                self._user = int(re.findall(rf"^{argument}:[^:]*:(\d+)", passwd, re.MULTILINE)[0])
            case "COPY":
                self._copy(argument.split())
            case "RUN":
                self._run(argument)
            case "ENV":
                self._set(argument)
            case "CMD":
                self.command = json.loads(argument)
            case "HEALTHCHECK":
                self.health = json.loads(argument[argument.index("CMD ") + 4 :])
            case "EXPOSE":
                pass
            case _:
                raise SystemExit(f"{name} cannot be replayed")

    def _set(self, argument: str) -> None:
        for pair in shlex.split(argument):
            key, _, value = pair.partition("=")
            self.environment[key] = value.replace("$PATH", self.environment["PATH"])

    def _run(self, argument: str) -> None:
        if argument.startswith("pip install") and argument.endswith(" uv"):
            return
        if self._start(["bash", "-euc", _with_pip(argument)], self._for_pip).wait():
            raise SystemExit(f"failed: {argument}")

    def _copy(self, arguments: list[str]) -> None:
        origin = REPOSITORY
        if arguments[0].startswith("--from="):
            origin = self._stages[arguments.pop(0).partition("=")[2]]
        *sources, target = arguments
        if len(sources) > 1 and not target.endswith("/"):
            raise SystemExit(f"COPY of several files to {target}, which is no folder")
        unwanted = shutil.ignore_patterns(*ignored_patterns()) if origin == REPOSITORY else None
        for source in sources:
            goal = self._inside(target + (source if target.endswith("/") else ""))
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, goal, symlinks=True, ignore=unwanted)
            else:
                shutil.copy(path, goal)

    def _inside(self, path: str) -> Path:
        return (
            self._root / f"{self._workdir}/{path}".lstrip("/")
            if path[0] != "/"
            else self._root / path[1:]
        )

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
            print(f"served by the user {(self._root / f'proc/{service.pid}').stat().st_uid}")
            print(ask(self._port, "/generate", {"prompt": "春", "max_tokens": 24, "seed": 1}))
        finally:
            service.terminate()
            try:
                service.wait(timeout=30)
            except subprocess.TimeoutExpired:
                service.kill()

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


def replay(folder: Path) -> None:
    """Replay every instruction, then serve."""
    image = Replay(folder, free_port())
    for name, argument in instructions((REPOSITORY / "Dockerfile").read_text("utf-8")):
        image.run(name, argument)
    image.serve()
    print("the Dockerfile's steps build and serve")


def main(arguments: Sequence[str]) -> int:
    """Run this program again with mounts and processes of its own, which go with it."""
    if arguments:
        replay(Path(arguments[0]))
        return 0
    apart = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    with tempfile.TemporaryDirectory(prefix="refrain-image-") as folder:
        Path(folder).chmod(0o755)
        command = [*apart, "--mount-proc", sys.executable, __file__, folder]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
