"""What the database looks like, and how older ones become like it."""

from __future__ import annotations

from chatd.core.broker import ERASED

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x63686174
"""`PRAGMA application_id` of our databases: "chat"."""

_FIRST = f"""
-- One row for each time that somebody began to write to this file. An epoch is the name of one.
create table opening (n integer primary key, epoch text not null unique) strict;

-- top: the last offset ever given; it outlives the messages. floor: the last offset trimmed away,
-- and the opening that had written it.
create table room (
  n integer primary key,
  name text not null unique,
  top integer not null default 0,
  floor integer not null default 0,
  floor_opening integer not null default 0
) strict;

-- opening: that wrote it. size: bytes of sender and body. user, id: of the sender's own naming.
-- erases: offset of the message that this one erased, or null.
create table message (
  room integer not null,
  offset integer not null,
  opening integer not null,
  time integer not null,
  size integer not null,
  user text not null,
  id text not null,
  erases integer,
  sender text not null,
  body text not null,
  primary key (room, offset)
) strict, without rowid;

create trigger erase after insert on message when new.erases is not null begin
  update message set body = '{ERASED.decode()}', size = length(cast(sender as blob)) + {len(ERASED)}
  where room = new.room and offset = new.erases;
end;

create table record (
  subject text not null,
  field text not null,
  value text not null,
  primary key (subject, field)
) strict, without rowid;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""Statements that make version n + 1 (`PRAGMA user_version`) out of version n; 0 is empty."""
