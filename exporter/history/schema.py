"""The tables: a list of volumes, and five tables for each volume.

A volume is a run of alerts that is dropped as a whole when it is the oldest
and the history too large or too old: nothing is ever deleted row by row, which
a full-text index pays for dearly.

``chunks`` has the messages, many in a row (``messages.py``), ``facts`` what lists show, ``words`` the full-text
index (without the text itself; SQLite merges its parts when there are sixteen alike, not a little with each
transaction, which costs a third more), ``hours`` which alerts an hour of events has,
``names`` what there is to choose from. Of a volume's alerts, those up to
``indexed_id`` are in ``facts`` and the rest.

``losses`` has what the exporter lost, by hour of the clock, for digests; ``incidents`` the identifiers of incidents and
what was last told of each, for the next start.
"""

from __future__ import annotations

VERSION = 2
ROWS_VERSION = 1
"""Of files whose volumes have a table ``log`` instead of ``chunks``, with one message in a row. They are read, and
dropped when they are the oldest; new alerts go to a volume with chunks. An exporter that knows only this version
sets a newer file aside."""
APPLICATION_ID = 0x46524548
"""*FREH*: tells the file from other programs' databases."""

BASE = """
CREATE TABLE IF NOT EXISTS volumes (
  number INTEGER PRIMARY KEY, first_id INTEGER, last_id INTEGER, indexed_id INTEGER, alerts INTEGER, bytes INTEGER,
  opened_s REAL, newest_s REAL
);
CREATE TABLE IF NOT EXISTS identity (boot TEXT);
CREATE TABLE IF NOT EXISTS losses (hour INTEGER, what TEXT, count INTEGER, PRIMARY KEY (hour, what)) WITHOUT ROWID;
"""
LATER = """
CREATE TABLE IF NOT EXISTS incidents (
  id TEXT PRIMARY KEY, leads_to TEXT, verdict TEXT, is_open INTEGER, first_ns INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS incidents_first ON incidents (first_ns);
"""
"""What files of earlier versions may lack."""

_VOLUME = """
CREATE TABLE chunks_{n} (id INTEGER PRIMARY KEY, alerts BLOB);
CREATE TABLE facts_{n} (
  id INTEGER PRIMARY KEY, time_ns INTEGER, uid BLOB, verdict TEXT, outcome TEXT, priority INTEGER,
  rule TEXT, source TEXT, host TEXT, namespace TEXT, principal TEXT, place TEXT
);
CREATE INDEX facts_{n}_time ON facts_{n} (time_ns);
CREATE VIRTUAL TABLE words_{n} USING fts5 (
  text, facts, content='', columnsize=0, tokenize="unicode61 remove_diacritics 0"
);
INSERT INTO words_{n} (words_{n}, rank) VALUES ('automerge', 0);
INSERT INTO words_{n} (words_{n}, rank) VALUES ('hashsize', {hash_bytes});
CREATE TABLE hours_{n} (hour INTEGER PRIMARY KEY, first_id INTEGER, last_id INTEGER);
CREATE TABLE names_{n} (kind TEXT, name TEXT, alerts INTEGER, PRIMARY KEY (kind, name)) WITHOUT ROWID;
"""
_HASH_BYTES = 8 * 1024 * 1024
"""Words that wait in memory for the end of a transaction, room for those of ``writer.INDEX_ALERTS`` usual alerts."""
_TABLES = ("log", "chunks", "facts", "words", "hours", "names")


def create_volume(number: int) -> list[str]:
    """Return the statements that make a volume's tables."""
    statements = _VOLUME.format(n=int(number), hash_bytes=_HASH_BYTES).split(";")
    return [statement for statement in statements if statement.strip()]


def drop_volume(number: int) -> list[str]:
    """Return the statements that remove a volume's tables."""
    return [f"DROP TABLE IF EXISTS {table}_{int(number)}" for table in _TABLES]
