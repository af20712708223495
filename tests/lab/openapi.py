"""Vendors' published descriptions, each asked whether it knows a request.

GitHub's is its OpenAPI document, from the npm package ``@octokit/openapi``;
Okta's is what its own Python SDK is generated from, read out of the SDK's
modules; Google's are the discovery documents in ``google-api-python-client``.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.lab.programs import CACHE, missing
from tests.lab.standin import Request

_OCTOKIT = "23.0.2"
_OKTA = "3.4.6"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a vendor says of one method of one path."""

    method: str
    pattern: re.Pattern[str]
    query: frozenset[str]
    required: frozenset[str] = frozenset()
    """Query parameters that must be there."""
    body: Mapping[str, Any] | None = None
    """JSON schema of the body; None where there is none or it is not described."""
    specific: int = field(default=0, compare=False)
    """Characters of the path that are not parameters: `/user/keys` goes before `/user/{id}`."""
    name: str = field(default="", compare=False)
    """The vendor's own name of it, e.g. ``storage.buckets.get``; empty where it has none."""


@dataclass(frozen=True, slots=True)
class Operations:
    """A description as a list of operations."""

    operations: tuple[Operation, ...]
    common: frozenset[str] = frozenset()
    """Query parameters that every operation takes."""

    def name_of(self, request: Request) -> str:
        """Return the vendor's name of the operation; empty where it does not know the request."""
        found = [each for each in self.operations if each.method == request.method]
        found = [each for each in found if each.pattern.fullmatch(request.path)]
        return max(found, key=lambda each: each.specific).name if found else ""

    def complaint(self, request: Request) -> str:
        """Return why the vendor would not know this request; empty where it does."""
        paths = [each for each in self.operations if each.pattern.fullmatch(request.path)]
        if not paths:
            return "no such path"
        found = [each for each in paths if each.method == request.method]
        if not found:
            return f"no {request.method} here, only {sorted({each.method for each in paths})}"
        operation = max(found, key=lambda each: each.specific)
        unknown = request.query.keys() - operation.query - self.common
        if unknown:
            return f"no query parameter {sorted(unknown)}; known are {sorted(operation.query)}"
        if lacking := operation.required - request.query.keys():
            return f"query parameter {sorted(lacking)} is required"
        return _body_complaint(request, operation)


def _body_complaint(request: Request, operation: Operation) -> str:
    if operation.body is None or not request.body:
        return ""
    import jsonschema

    try:
        jsonschema.validate(json.loads(request.body), operation.body)
    except jsonschema.ValidationError as error:
        return f"body: {error.json_path}: {error.message[:300]}"
    except ValueError:
        return "the body is not JSON"
    return ""


def _pattern(path: str, parameter: str = r"[^/]+") -> tuple[re.Pattern[str], int]:
    text = re.sub(r"\\\{\\\+\w+\\\}", ".+", re.escape(path))
    text = re.sub(r"\\\{[\w-]+\\\}", parameter, text)
    return re.compile(text), len(re.sub(r"\{[^}]*\}", "", path))


@cache
def github() -> Operations:
    """Return GitHub's REST description, that of Enterprise Cloud, which has the audit log as well."""
    file = CACHE / f"github-ghec-{_OCTOKIT}.json"
    if not file.exists():
        with tempfile.TemporaryDirectory() as directory:
            _fetch(["npm", "pack", "--silent", f"@octokit/openapi@{_OCTOKIT}"], directory)
            with tarfile.open(next(Path(directory).glob("*.tgz"))) as archive:
                member = archive.extractfile("package/generated/ghec.json")
                assert member is not None
                _keep(file, member.read())
    document = json.loads(file.read_bytes())
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in {"get", "post", "put", "patch", "delete", "head"}:
                operations.append(_of_openapi(document, path, method, operation))
    return Operations(tuple(operations), frozenset({"per_page", "page"}))


def _of_openapi(document: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> Operation:
    parameters = [_resolved(document, each) for each in operation.get("parameters", [])]
    query = [each for each in parameters if each["in"] == "query"]
    content = _resolved(document, operation.get("requestBody", {})).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    # Paths, branches and references may hold slashes.
    multiple = {each["name"] for each in parameters if each.get("x-multi-segment")}
    pattern, specific = _pattern(path.replace("{path}", "{+path}") if "path" in multiple or "{path}" in path else path)
    return Operation(
        method.upper(),
        pattern,
        frozenset(each["name"] for each in query),
        frozenset(each["name"] for each in query if each.get("required")),
        None if schema is None else _schema(document, schema),
        specific,
    )


def _resolved(document: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        found: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _schema(document: Mapping[str, Any], schema: Any) -> Any:
    """Resolve references and OpenAPI 3.0's ``nullable``, which JSON Schema does not know."""
    if isinstance(schema, list):
        return [_schema(document, each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    schema = _resolved(document, schema)
    found = {key: _schema(document, value) for key, value in schema.items() if key not in {"example", "examples"}}
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


@cache
def okta() -> Operations:
    """Return what Okta's management SDK knows of Okta's interface."""
    file = CACHE / f"okta-sdk-{_OKTA}.whl"
    if not file.exists():
        with tempfile.TemporaryDirectory() as directory:
            _fetch(["pip", "download", "--quiet", "--no-deps", "--dest", ".", f"okta=={_OKTA}"], directory)
            _keep(file, next(Path(directory).glob("*.whl")).read_bytes())
    operations = []
    with zipfile.ZipFile(io.BytesIO(file.read_bytes())) as wheel:
        for name in wheel.namelist():
            if re.fullmatch(r"okta/api/\w+_api\.py", name):
                operations += _of_sdk(wheel.read(name).decode())
    return Operations(tuple(operations))


def _of_sdk(module: str) -> list[Operation]:
    """Each operation of a generated module: its serialiser names path, method and query parameters."""
    found = []
    for part in re.split(r"def _\w+_serialize\(\n", module)[1:]:
        method = re.search(r'method="(\w+)"', part)
        path = re.search(r'resource_path="([^"]+)"', part)
        if method and path:
            pattern, specific = _pattern(path[1])
            query = frozenset(re.findall(r'_query_params\.append\(\s*\(\s*"([^"]+)"', part[: part.index(path[0])]))
            found.append(Operation(method[1], pattern, query, specific=specific))
    return found


@cache
def google(name: str, version: str) -> Operations:
    """Return one of Google's discovery documents, e.g. ``cloudkms``, ``v1``."""
    import googleapiclient

    file = Path(googleapiclient.__file__).parent / "discovery_cache/documents" / f"{name}.{version}.json"
    document = json.loads(file.read_bytes())
    operations: list[Operation] = []

    def walk(node: Mapping[str, Any]) -> None:
        for method in node.get("methods", {}).values():
            path = "/" + document["servicePath"].strip("/") + "/" + method.get("flatPath", method["path"])
            query = [key for key, each in method.get("parameters", {}).items() if each["location"] == "query"]
            pattern, specific = _pattern(re.sub("/+", "/", path))
            known = {"specific": specific, "name": method["id"]}
            operations.append(Operation(method["httpMethod"], pattern, frozenset(query), **known))
        for resource in node.get("resources", {}).values():
            walk(resource)

    walk(document)
    # Of lists in compute; in Google's reference, but not in every generated document. gcloud always sends it.
    newer = {"returnPartialSuccess"} if name == "compute" else set[str]()
    return Operations(tuple(operations), frozenset(document.get("parameters", {})) | newer)


def _fetch(command: list[str], directory: str) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        missing(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")


def _keep(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Of this process: another worker may fetch the same.
    part = file.with_suffix(f".part{os.getpid()}")
    part.write_bytes(content)
    part.rename(file)
