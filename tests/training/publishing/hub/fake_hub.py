"""A hub of one process: the few endpoints that `huggingface_hub` uses to create, list, fetch and commit."""

import base64
import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

TOKEN = "hf_good"
ROUTES = {
    "POST": (
        (r"/api/repos/create", "create"),
        (r"/api/validate-yaml", "validate"),
        (r"/api/models/(\w+/[\w.-]+)/branch/([\w.-]+)", "branch"),
        (r"/api/models/(\w+/[\w.-]+)/preupload/([\w.-]+)", "preupload"),
        (r"/api/models/(\w+/[\w.-]+)/commit/([\w.-]+)", "commit"),
        (r"/(\w+/[\w.-]+)\.git/info/lfs/objects/batch", "lfs_batch"),
    ),
    "PUT": ((r"/lfs/(\w+)", "lfs_put"),),
    "GET": (
        (r"/api/models/(\w+/[\w.-]+)", "info"),
        (r"/api/models/(\w+/[\w.-]+)/revision/([\w.-]+)", "info"),
        (r"/api/models/(\w+/[\w.-]+)/tree/([\w.-]+)", "tree"),
        (r"/(\w+/[\w.-]+)/resolve/([\w.-]+)/([\w./-]+)", "resolve"),
    ),
}
ROUTES["HEAD"] = ROUTES["GET"][-1:]


@dataclass
class Repository:
    """Files of each commit, and the commit of each branch."""

    private: bool = False
    branches: dict = field(default_factory=dict)
    commits: dict = field(default_factory=dict)

    def files(self, revision: str) -> dict:
        return self.commits[self.branches.get(revision, revision)]

    def commit(self, branch: str, files: dict) -> str:
        sha = hashlib.sha1(f"{branch} {len(self.commits)}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        return sha


class RefusalError(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, code: str = "") -> None:
        self.status, self.code = status, code


class FakeHub:
    """Repositories by name.

    Attributes
    ----------
    broken
        Names of files that are listed but cannot be fetched.
    requests
        What was asked for, as "METHOD path".
    cards
        What was given to be validated.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.lfs: dict[str, bytes] = {}
        self.broken: set[str] = set()
        self.requests: list[str] = []
        self.cards: list[str] = []
        self.url = ""

    def add(self, name: str, files: dict, *, private: bool = False) -> Repository:
        repository = self.repositories[name] = Repository(private=private)
        repository.commit("main", files)
        return repository

    def answer(self, method: str, path: str, body: bytes, token: str):
        """Return headers and body of an answer."""
        self.requests.append(f"{method} {path}")
        if method == "GET" and path.rpartition("/")[2] in self.broken:
            raise RefusalError(500)
        for pattern, name in ROUTES[method]:
            if match := re.fullmatch(pattern, path):
                if method in ("POST", "PUT") and name != "lfs_put" and token != TOKEN:
                    raise RefusalError(401)
                groups = match.groups()
                if groups and "/" in groups[0] and name not in ("create", "validate"):
                    groups = (self._find(groups, token), *groups)
                return getattr(self, f"_{name}")(body, *groups)
        raise RefusalError(404)

    def _find(self, groups, token: str) -> Repository:
        repository = self.repositories.get(groups[0])
        if repository is None or (repository.private and token != TOKEN):
            raise RefusalError(404 if token else 401, "RepoNotFound")
        revision = groups[1] if len(groups) > 1 else "main"
        if revision not in (*repository.branches, *repository.commits, "v2"):
            raise RefusalError(404, "RevisionNotFound")
        return repository

    def _create(self, body):
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.repositories:
            raise RefusalError(409, f"{self.url}/{name}")
        self.add(name, {".gitattributes": b""}, private=asked.get("visibility") == "private")
        return {}, {"url": f"{self.url}/{name}"}

    def _validate(self, body):
        self.cards.append(json.loads(body)["content"])
        return {}, {"errors": [], "warnings": []}

    def _branch(self, body, repository, _, name):
        if name in repository.branches:
            raise RefusalError(409)
        repository.branches[name] = repository.branches["main"]
        return {}, {}

    def _preupload(self, body, *_):
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(body)["files"]
        ]
        return {}, {"files": files}

    def _lfs_batch(self, body, *_):
        objects = json.loads(body)["objects"]
        for each in objects:
            each["actions"] = {"upload": {"href": f"{self.url}/lfs/{each['oid']}"}}
        return {}, {"transfer": "basic", "objects": objects}

    def _lfs_put(self, body, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.lfs[oid] = body
        return {}, {}

    def _commit(self, body, repository, name, branch):
        files = dict(repository.files(branch))
        for operation in map(json.loads, body.splitlines()):
            value = operation["value"]
            match operation["key"]:
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.lfs[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        sha = repository.commit(branch, files)
        return {}, {"commitUrl": f"{self.url}/{name}/commit/{sha}", "commitOid": sha}

    def _info(self, _, repository, name, revision="main"):
        sha = repository.branches.get(revision, revision)
        if sha not in repository.commits:
            raise RefusalError(404, "RevisionNotFound")
        return {}, {"id": name, "sha": sha, "private": repository.private}

    def _tree(self, _, repository, name, revision):
        return {}, [
            {
                "type": "file",
                "path": path,
                "size": len(content),
                "oid": hashlib.sha1(content).hexdigest(),
            }
            for path, content in repository.files(revision).items()
        ]

    def _resolve(self, _, repository, name, revision, path):
        content = repository.files(revision)[path]
        sha = repository.branches.get(revision, revision)
        return {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "X-Repo-Commit": sha}, content


@contextmanager
def running_hub():
    """Serve a hub on a free port."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self._body()
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            path = unquote(urlsplit(self.path).path)
            try:
                status, (headers, content) = 200, hub.answer(self.command, path, body, token)
            except RefusalError as refusal:
                status, content = refusal.status, {"error": "no", "url": refusal.code}
                headers = {"X-Error-Code": refusal.code}
            if not isinstance(content, bytes):
                content = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        do_GET = do_HEAD = do_POST = do_PUT = _serve

        def log_message(self, *_) -> None:
            """Do nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
