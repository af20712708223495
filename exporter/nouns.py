"""Nouns for fields: what stands for a value that is not given.

Owns one table from field to noun phrase. Refuses values.
"""

from __future__ import annotations

import re

NOUNS: tuple[tuple[str, str], ...] = (
    (r"proc\.(name|exepath|exe|cmdline|args)", "a process"),
    (r"proc\.(p\w+|aname.*|aexepath.*|acmdline.*|sname)", "its parent process"),
    (r"proc\.cwd", "its directory"),
    (r"user\.(name|loginname)", "a user"),
    (r"fd\.name|fd\.nameraw|fs\.path.*|evt\.arg\.(path|name|filename|oldpath|newpath|target|linkpath)", "a file"),
    (r"fd\.(sip|rip|cip|lip).*|ct\.srcip|gcp\.callerIP|okta\.client\.ip|ka\.sourceips", "an address"),
    (r"fd\.\w*port", "a port"),
    (r"connection", "a connection"),
    (r"container\.(id|name)", "a container"),
    (r"container\.image.*|ka\.req\.(pod|container).*image.*", "an image"),
    (r"k8s\.pod\.name|ka\.(target|resp)\.pod\.name", "a pod"),
    (r"k8s\.ns\.name|ka\.target\.namespace", "a namespace"),
    (r"ka\.user\.name|ct\.user.*|gcp\.user|okta\.actor\.name|github\.user", "a user"),
    (r"okta\.target\.user\.name", "another user"),
    (r"ka\.(target|resp)\.name", "an object"),
    (r"ka\.target\.(sub)?resource", "a resource"),
    (r"s3\.bucket|gcp\.storage\.bucket", "a bucket"),
    (r"gcp\.projectId", "a project"),
    (r"ct\.region", "a region"),
    (r"github\.repo\.(name|url)", "a repository"),
    (r"github\.(org|owner)", "an organisation"),
    (r"ct\.request\.functionname|gcp\.cloudfunctions\.function", "a function"),
    (r"ct\.request\.groupname|okta\.target\.group\.name|group\.name", "a group"),
    (r"ct\.request\.cluster", "a cluster"),
    (r"alert\.(time|since|until).*", "the alert"),
    (r"alert\.hostname|evt\.hostname", "the host"),
    (r"alert\.place", "an unnamed place"),
    (r"alert\.principal", "a user"),
    (r"alert\.terminal", "a terminal"),
    (r"alert\.(client|server)", "an address"),
    (r"alert\.object_kind", "object"),
    (r"alert\.rule", "the rule"),
    (r"ka\.verb|evt\.type", "a request"),
    (r"ka\.uri.*", "a path"),
    (r"ka\.response\.code", "a code"),
    (r"ka\.req\.binding\.subjects", "a subject"),
    (r"ka\.req\.role\.rules", "its rules"),
    (r"gcp\.methodName", "a method"),
)
"""Pattern of a field's whole name to a noun phrase for any value of it."""
_NUMBERS = re.compile(r".*(?:\.|_|\b)(?:u|g|p|vp|pp|login)?u?id|.*port|.*\.(?:tty|code|res|rawres)|.*num")


def noun(field: str) -> str:
    """Return a noun phrase that stands for any value of the field."""
    return next((words for pattern, words in NOUNS if re.fullmatch(pattern, field)), "a value")


def stand_in(field: str) -> str:
    """Return what a sentence says in the place of a value that the alert does not have."""
    return "unknown" if _NUMBERS.fullmatch(field) else noun(field)
