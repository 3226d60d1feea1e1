"""A server in memory that speaks as much of the Hub's protocol as pushing and pulling models takes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN, READER = "hf_loopback_writer_0123456789", "hf_loopback_reader_0123456789"


@dataclass
class Repository:
    """Branches and tags by name, commits by their hash."""

    private: bool = False
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        """Adds a commit with those files beside the branch's."""
        content = self.commits.get(self.names.get(branch, ""), {}) | files
        digest = hashlib.sha1(repr((len(self.commits), sorted(content.items()))).encode()).hexdigest()
        self.commits[digest] = content
        self.names[branch] = digest
        return digest


class LoopbackHub:
    """The server; as a context manager it listens on a free port of the loopback interface."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str]] = []
        hub = self

        class Handler(_Handler):
            state = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> str:
        """The base of its addresses."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> LoopbackHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self._parts()
        if parts == ["api", "validate-yaml"]:
            unknown = "license: no-such" in json.loads(body)["content"]
            found = {"errors": [{"message": "license must be one of"}] if unknown else [], "warnings": []}
            self._answer(found, 400 if unknown else 200)
        elif parts == ["api", "repos", "create"]:
            self._create(json.loads(body))
        elif parts[-3:] == ["lfs", "objects", "batch"]:
            self._offer(json.loads(body))
        elif parts[-1] == "verify":
            self._answer({})
        elif parts[:2] == ["api", "models"]:
            self._change("/".join(parts[2:4]), parts[4], "/".join(parts[5:]), body)
        else:
            self._refuse(404, "EntryNotFound")

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.state.objects[self._parts()[-1]] = content
        self._send(200, b"", {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = self._parts()
        if parts[:2] == ["api", "models"]:
            name, doing = "/".join(parts[2:4]), "/".join(parts[4:5])
            found = self._find(name, "/".join(parts[5:6]) or "main")
            if found is None:
                return
            digest, files = found
            listed = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for path, content in files.items()
            ]
            siblings = [{"rfilename": path} for path in files]
            known = {"id": name, "sha": digest, "private": self.state.repositories[name].private}
            self._answer(listed if doing == "tree" else known | {"siblings": siblings})
        elif len(parts) > 4 and parts[2] == "resolve":
            self._give("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._refuse(404, "EntryNotFound")

    def _create(self, asked: dict[str, Any]) -> None:
        if self._token() != TOKEN:
            self._refuse(403 if self._token() else 401, "")
            return
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        is_new = name not in self.state.repositories
        if is_new:
            private = bool(asked.get("private")) or asked.get("visibility") == "private"
            made = self.state.repositories.setdefault(name, Repository(private))
            made.commit("main", {".gitattributes": b"*.safetensors filter=lfs\n"})
        self._answer({"url": f"{self.state.address}/{name}"}, 200 if is_new else 409)

    def _change(self, name: str, doing: str, revision: str, body: bytes) -> None:
        if self._token() != TOKEN:
            self._refuse(403 if self._token() else 401, "")
            return
        repository = self.state.repositories[name]
        if doing == "branch":
            is_new = revision not in repository.names
            repository.names.setdefault(revision, repository.names["main"])
            self._answer({}, 200 if is_new else 409)
        elif doing == "preupload":
            asked = [each["path"] for each in json.loads(body)["files"]]
            modes = {path: "lfs" if path.endswith((".safetensors", ".png")) else "regular" for path in asked}
            files = [{"path": path, "uploadMode": modes[path], "shouldIgnore": False} for path in asked]
            self._answer({"files": files})
        else:
            sent: dict[str, bytes] = {}
            for line in body.decode().splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    sent[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    sent[value["path"]] = self.state.objects[value["oid"]]
            digest = repository.commit(revision, sent)
            address = f"{self.state.address}/{name}/commit/{digest}"
            self._answer({"success": True, "commitOid": digest, "commitUrl": address})

    def _offer(self, asked: dict[str, Any]) -> None:
        objects = [
            {
                **each,
                "authenticated": True,
                "actions": {"upload": {"href": f"{self.state.address}/objects/{each['oid']}"}},
            }
            for each in asked["objects"]
        ]
        self._answer({"transfer": "basic", "objects": objects})

    def _give(self, name: str, revision: str, path: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        digest, files = found
        if path not in files:
            self._refuse(404, "EntryNotFound")
            return
        etag = hashlib.sha256(files[path]).hexdigest()
        self._send(200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": digest})

    def _find(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision with its files; None after an answer that refuses it."""
        repository = self.state.repositories.get(name)
        if repository is None or (repository.private and self._token() not in (TOKEN, READER)):
            self._refuse(401 if not self._token() else 404, "RepoNotFound")
            return None
        if repository.gated and self._token() != TOKEN:
            self._refuse(403, "GatedRepo")
            return None
        digest = repository.names.get(revision, revision)
        if digest not in repository.commits:
            self._refuse(404, "RevisionNotFound")
            return None
        return digest, repository.commits[digest]

    def _parts(self) -> list[str]:
        self.state.requests.append((self.command, self.path, self._token()))
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def _token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def _answer(self, content: Any, status: int = 200) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": "refused"} if code else {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
