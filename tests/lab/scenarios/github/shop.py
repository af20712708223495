"""A GitHub organization with state: a repository, who may write to it, its keys, hooks, workflows and the audit log."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from tests.lab.places.vendors import Vendor
from tests.lab.standin import Reply, Request

OLD = f"{datetime.now(UTC) - timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"
WORKFLOW = ".github/workflows/ci.yml"
ZIP = {"Content-Type": "application/zip"}
MISSING = Reply({"message": "Not Found", "status": "404"}, 404)


def now() -> str:
    """The time as GitHub writes it; steps compare it with the alert's, which is made later in the same story."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Shop:
    """The organization; ``refuses`` makes every change a 403, ``gone`` makes the repository a 404."""

    def __init__(self, github: Vendor, *, created: str = "", visibility: str = "public") -> None:
        self.repository: dict[str, Any] = {
            "id": 1,
            "full_name": "shop/web",
            "created_at": created or now(),
            "archived": False,
        }
        self.repository |= {"visibility": visibility, "forks_count": 1, "fork": False, "description": "x", "size": 3}
        self.repository["pushed_at"] = OLD
        self.member: str | None = "member"
        self.numbers = {"mallory": 4, "peer": 5}
        """Each account's own number; a name may become another account's."""
        self.people = {"mallory": "admin", "peer": "write"}
        self.invited: dict[str, str] = {}
        self.asked_back: list[int] = []
        """Accounts that were invited into the organization, by number."""
        self.actions: dict[str, Any] = {"enabled": True, "allowed_actions": "all"}
        self.workflow = "active"
        self.runs = {9: "in_progress", 8: "completed"}
        self.cancelled: set[int] = set()
        self.page = 100
        """The most runs on one page."""
        self.pushes: list[dict[str, Any]] = []
        self.leaks = [leak("aws_key", "AKIALAB")]
        self.revoked: list[str] = []
        self.keys: list[dict[str, Any]] = []
        self.me = "responder"
        self.refuses = False
        self.gone = False
        self._github = github
        self._code()
        self._access()
        self._ci()
        self._log()

    @property
    def is_public(self) -> bool:
        """Whether everybody may read the repository."""
        return bool(self.repository["visibility"] == "public")

    def _on(self, route: str, change: Callable[[Request], Any]) -> None:
        def answer(request: Request) -> Any:
            if self.gone and "/repos/{o}/{r}" in route:
                return MISSING
            if self.refuses and request.method != "GET":
                return Reply({"message": "Must have admin rights", "status": "403"}, 403)
            return change(request)

        self._github.service.answers(route, answer)

    def _code(self) -> None:
        at = "/repos/{o}/{r}"
        fork = {"full_name": "x/web", "created_at": now(), "pushed_at": now()}
        commit = {"committer": {"date": now()}, "author": {"email": "eve@evil.example"}, "message": "add results.b64"}
        archive = Reply(_tarball(), headers={"Content-Type": "application/x-gzip"})
        self._on(f"GET {at}", lambda _: self.repository)
        self._on(f"PATCH {at}", self._edit)
        self._on(f"GET {at}/activity", self._activity)
        self._on(f"GET {at}/forks", lambda _: [fork])
        self._on(f"GET {at}/traffic/clones", lambda _: {"count": 7, "uniques": 1, "clones": [{"count": 7}]})
        self._on(f"GET {at}/tarball/HEAD", lambda _: archive)
        self._on(f"GET {at}/commits", lambda _: [{"commit": commit}])
        self._on("GET /search/repositories", lambda _: {"total_count": 1, "items": [fork]})
        self._on(f"GET {at}/secret-scanning/alerts", lambda request: page_of(request, self.leaks))
        self._on("POST /credentials/revoke", self._revoke)
        self._on(f"GET {at}/keys", lambda _: self.keys)
        mine = {"full_name": "shop/web", "owner": {"login": "shop"}, "permissions": {"admin": True}}
        other = {"full_name": "else/where", "owner": {"login": "else"}, "permissions": {"admin": True}}
        self._on("GET /user/repos", lambda _: [mine, other])
        config = {"url": "https://falco.example.net", "insecure_ssl": "0"}
        self._on(f"GET {at}/hooks", lambda _: [hook(77, config), hook(770, config)])

    def _activity(self, request: Request) -> Any:
        """What was pushed, newest first; of the last 24 hours where that is asked for."""
        since = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        lasts_a_day = request.query.get("time_period") == "day"
        return [each for each in self.pushes if each["timestamp"] > since or not lasts_a_day]

    def _revoke(self, request: Request) -> Reply:
        self.revoked = sorted({*self.revoked, *request.json()["credentials"]})
        return Reply(status=202)

    def _access(self) -> None:
        at, member = "/repos/{o}/{r}/collaborators", "/orgs/{org}/memberships/{user}"
        number = lambda request: self.numbers[request.parameters["user"]]  # noqa: E731
        self._on("GET /user", lambda _: {"login": self.me})
        self._on(
            "GET /users/{user}",
            lambda request: {"id": number(request), "login": request.parameters["user"], "created_at": now()},
        )
        self._on(f"GET {at}", lambda _: [person(name, role, self.numbers[name]) for name, role in self.people.items()])
        self._on(f"GET {at}/{{user}}/permission", self._permission)
        self._on(f"PUT {at}/{{user}}", self._invite)
        self._on(f"DELETE {at}/{{user}}", lambda request: self._remove(request.parameters["user"]))
        listed = lambda _: [invitation(name, role) for name, role in self.invited.items()]  # noqa: E731
        self._on("GET /repos/{o}/{r}/invitations", listed)
        about = lambda request: {"role": self.member, "state": "active", "user": {"id": number(request)}}  # noqa: E731
        self._on(f"GET {member}", lambda request: about(request) if self.member else MISSING)
        self._on(f"DELETE {member}", lambda _: self._join(None))
        self._on("POST /orgs/{org}/invitations", self._back)

    def _ci(self) -> None:
        at = "/repos/{o}/{r}/actions"
        script = Reply(b"run: ./xmrig -o stratum+tcp://pool\n", headers={"Content-Type": "application/vnd.github.raw"})
        self._on(f"GET {at}/permissions", lambda _: self.actions)
        self._on(f"PUT {at}/permissions", self._permit)
        self._on(f"GET {at}/workflows/{{w}}", lambda _: {"id": 5, "state": self.workflow, "path": WORKFLOW})
        self._on(f"PUT {at}/workflows/{{w}}/disable", lambda _: self._switch("disabled_manually"))
        self._on(f"PUT {at}/workflows/{{w}}/enable", lambda _: self._switch("active"))
        self._on(f"GET {at}/workflows/{{w}}/runs", self._list_runs)
        self._on(f"POST {at}/runs/{{id}}/cancel", self._cancel)
        self._on(f"GET {at}/runs/{{id}}/logs", self._logs)
        self._on(f"GET /repos/{{o}}/{{r}}/contents/{WORKFLOW}", lambda _: script)

    def _log(self) -> None:
        entry = {"@timestamp": 1795872456000, "action": "git.clone", "actor": "mallory", "actor_ip": "203.0.113.45"}
        self._on("GET /orgs/{org}/audit-log", lambda _: [{**entry, "user_agent": "git/2.50"}])

    def _edit(self, request: Request) -> Any:
        """Change the visibility, or whether it is archived; an archived one takes no other change."""
        asked = request.json()
        if self.repository["archived"] and "archived" not in asked:
            return Reply({"message": "Repository was archived so is read-only.", "status": "403"}, 403)
        if "private" in asked:
            self.repository["visibility"] = "private" if asked["private"] else "public"
        self.repository["archived"] = asked.get("archived", self.repository["archived"])
        return self.repository

    def _permission(self, request: Request) -> Any:
        role = self.people.get(request.parameters["user"])
        number = self.numbers[request.parameters["user"]]
        return {"permission": role, "role_name": role, "user": {"id": number}} if role else MISSING

    def _invite(self, request: Request) -> Any:
        name, role = request.parameters["user"], {"pull": "read", "push": "write"}[request.json()["permission"]]
        if name in self.people:
            self.people[name] = role
            return Reply(status=204)
        self.invited[name] = role
        return Reply({"invitee": {"login": name}, "permissions": role}, 201)

    def _remove(self, name: str) -> Reply:
        self.people.pop(name, None)
        return Reply(status=204)

    def _join(self, role: str | None) -> Any:
        if role is None and self.member is None:
            return MISSING
        self.member = role
        return Reply(status=204)

    def _back(self, request: Request) -> Reply:
        """Invite an account into the organization; GitHub refuses one that is in it."""
        asked = request.json()
        if self.member:
            return Reply({"message": "Invitee is already a part of this organization", "status": "422"}, 422)
        self.asked_back.append(asked["invitee_id"])
        self.member = {"direct_member": "member"}.get(asked["role"], asked["role"])
        return Reply({"login": "mallory", "role": asked["role"]}, 201)

    def _permit(self, request: Request) -> Reply:
        self.actions.update(request.json())
        return Reply(status=204)

    def _switch(self, state: str) -> Reply:
        self.workflow = state
        return Reply(status=204)

    def _list_runs(self, request: Request) -> Any:
        """The runs of a status, the newest first, in pages of ``page`` or as many as are asked for."""
        wanted = request.query.get("status")
        found = [run(one, status) for one, status in self.runs.items() if wanted in {None, status}]
        return page_of(request, found, lambda runs: {"workflow_runs": runs}, most=self.page)

    def _cancel(self, request: Request) -> Reply:
        one = int(request.parameters["id"])
        if self.runs[one] == "completed":
            return Reply({"message": "Cannot cancel a workflow run that is completed.", "status": "409"}, 409)
        self.cancelled.add(one)
        return Reply({}, 202)

    def _logs(self, request: Request) -> Reply:
        """A run's logs, once it has ended; a cancelled one has ended when they are asked for again."""
        one = int(request.parameters["id"])
        if self.runs[one] == "completed":
            return Reply(b"PK log of %d" % one, headers=ZIP)
        if one in self.cancelled:
            self.runs[one] = "completed"
        return MISSING


def page_of(request: Request, found: list[Any], document: Callable[[list[Any]], Any] = list, most: int = 100) -> Reply:
    """The page that is asked for, of 30 where nothing is said, with a link to the next."""
    size, page = min(most, int(request.query.get("per_page", 30))), int(request.query.get("page", 1))
    asked = urlencode({**request.query, "page": page + 1})
    link = {"Link": f'<https://api.github.com{request.path}?{asked}>; rel="next"'}
    return Reply(document(found[(page - 1) * size : page * size]), headers=link if page * size < len(found) else {})


def person(name: str, role: str, number: int) -> dict[str, Any]:
    """A collaborator as GitHub lists them."""
    return {"id": number, "login": name, "role_name": role, "permissions": {"push": role in ("admin", "write")}}


def invitation(name: str, role: str) -> dict[str, Any]:
    """An open invitation."""
    return {"invitee": {"login": name}, "permissions": role, "created_at": now()}


def hook(number: int, config: dict[str, str]) -> dict[str, Any]:
    """A webhook."""
    return {"id": number, "created_at": now(), "active": True, "config": config}


def push(when: str = "") -> dict[str, Any]:
    """A forced push by mallory."""
    who = {"actor": {"login": "mallory"}, "timestamp": when or now(), "activity_type": "force_push"}
    return {"id": 1, "before": "0" * 40, "after": "f" * 40, "ref": "refs/heads/main", **who}


def run(number: int, status: str) -> dict[str, Any]:
    """A run of the workflow."""
    about = {"id": number, "created_at": now(), "event": "push", "status": status, "head_sha": f"{number}" * 40}
    return {**about, "path": WORKFLOW, "actor": {"login": "mallory"}, "head_repository": {"full_name": "shop/web"}}


def _tarball() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("web/results.b64"))
    return packed.getvalue()


def leak(kind: str, secret: str, made: str = "") -> dict[str, Any]:
    """Return an alert of GitHub's secret scanning."""
    return {
        "created_at": made or now(),
        "secret_type": kind,
        "secret": secret,
        "validity": "active",
        "html_url": "https://x",
    }
