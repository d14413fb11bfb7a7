"""Replay the Dockerfile without an engine: its steps in a clean folder and a clean environment.

Where no Docker engine can run, this is the nearest proof: every COPY, RUN, ENV, HEALTHCHECK and CMD of the file is
carried out with `/opt`, `/src` and `/srv` moved under a temporary folder, then the service is started as the image
would start it and asked for a poem. What it cannot show: the base image, the user switch, the port mapping, and uv's
choice of torch's CPU build: pip installs in its place, from wherever this machine has its packages.

    python deploy/replay_dockerfile.py
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
import urllib.error
import urllib.request
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ROOTS = ("/opt/refrain", "/srv/refrain", "/src")


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


class Replay:
    """One clean folder that stands for the file system of the image."""

    def __init__(self, root: Path, port: int) -> None:
        self._root = root
        self._workdir = root
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(root),
            "LANG": "C.UTF-8",
        }
        for name, value in os.environ.items():
            if name.startswith(("PIP_", "SSL_")):
                self.environment[name] = value
        self._port = port
        self.command: list[str] = []
        self.health: list[str] = []

    def path(self, text: str) -> str:
        """Move the image's folders under the clean one."""
        for root in ROOTS:
            text = re.sub(rf"(?<![\w/.]){root}\b", f"{self._root}{root}", text)
        return text

    def run(self, name: str, argument: str) -> None:
        """Carry out one instruction."""
        print(f"{name} {argument}"[:150], flush=True)
        match name:
            case "WORKDIR":
                self._workdir = Path(self.path(argument))
                self._workdir.mkdir(parents=True, exist_ok=True)
            case "COPY" if "--from=" not in argument:
                self._copy(argument.split())
            case "RUN" if not argument.startswith(("useradd", "pip install")):
                subprocess.run(
                    ["bash", "-euc", self.path(_with_pip(argument))],
                    cwd=self._workdir,
                    env=self.environment,
                    check=True,
                )
            case "ENV":
                for pair in shlex.split(argument):
                    key, _, value = pair.partition("=")
                    value = self.path(value).replace("$PATH", self.environment["PATH"])
                    self.environment[key] = value
            case "CMD":
                self.command = json.loads(argument)
            case "HEALTHCHECK":
                self.health = json.loads(argument[argument.index("CMD ") + 4 :])

    def _copy(self, arguments: list[str]) -> None:
        *sources, target = arguments
        for source in sources:
            origin = REPOSITORY / source
            goal = self._workdir / (target if not target.endswith("/") else target + source)
            if origin.is_dir():
                shutil.copytree(origin, goal, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(origin, goal)

    def serve(self) -> None:
        """Start the service as the image would, check its health, and ask it for a poem."""
        self.environment |= {"REFRAIN_PORT": str(self._port), "REFRAIN_HOST": "127.0.0.1"}
        binary = shutil.which(self.command[0], path=self.environment["PATH"])
        assert binary is not None
        service = subprocess.Popen(
            [binary, *self.command[1:]], cwd=self._workdir, env=self.environment
        )
        try:
            self._wait_until_healthy(service)
            print(ask(self._port, "/generate", {"prompt": "春", "max_tokens": 24, "seed": 1}))
        finally:
            service.terminate()
            service.wait(timeout=30)

    def _wait_until_healthy(self, service: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and service.poll() is None:
            health = subprocess.run(
                self.health, env=self.environment, capture_output=True, check=False
            )
            if health.returncode == 0:
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


def main() -> None:
    """Replay every instruction, then serve."""
    with tempfile.TemporaryDirectory(prefix="refrain-image-") as folder:
        replay = Replay(Path(folder), free_port())
        for name, argument in instructions((REPOSITORY / "Dockerfile").read_text("utf-8")):
            replay.run(name, argument)
        replay.serve()
    print("the Dockerfile's steps build and serve")


if __name__ == "__main__":
    main()
