"""What the database looks like, and how older ones become like it."""

from __future__ import annotations

from chatd.core.broker import ERASED
from chatd.core.events import Kind

__all__ = [
    "APPLICATION_ID",
    "LAST_OFFSET",
    "LAST_ROOM",
    "MIGRATIONS",
    "OFFSET_BITS",
    "WORDS",
    "key",
]

APPLICATION_ID = 0x63686174
"""`PRAGMA application_id` of our databases: "chat"."""

OFFSET_BITS = 40
"""The lower bits of a message's key are its offset, those above them the number of its room."""

LAST_OFFSET = (1 << OFFSET_BITS) - 1
"""The greatest offset; also the mask that takes it out of a key."""

LAST_ROOM = (1 << (63 - OFFSET_BITS)) - 1
"""The greatest number of a room."""

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

WORDS = """
create virtual table words
using fts5(text, content='', tokenize='unicode61 remove_diacritics 2')
"""
"""The statement that makes the index of words."""

_SECOND = f"""
-- time: of the last message when the room was trimmed last. indexed: the words of the messages up
-- to this offset are known.
alter table room add column time integer not null default 0;
alter table room add column indexed integer not null default 0;

drop trigger erase;
alter table message rename to former;

-- key: room << {OFFSET_BITS} | offset. opening: that wrote it. size: bytes of sender and body.
-- kind: see Kind. ref: key of the message that this one changes, or null. user, id: of the
-- sender's own naming.
create table message (
  key integer primary key,
  opening integer not null,
  time integer not null,
  size integer not null,
  kind integer not null,
  ref integer,
  user text not null,
  id text not null,
  sender text not null,
  body text not null
) strict;

insert into message
select room << {OFFSET_BITS} | offset, opening, time, size,
  case when not json_valid(body) then {Kind.OTHER:d}
    when body->>'$.type' = 'message' and json_type(body, '$.text') = 'text' then {Kind.MESSAGE:d}
    else {Kind.OTHER:d} end,
  null, user, id, sender, body
from former order by room, offset;

drop table former;

create index edit on message (ref) where kind = {Kind.EDIT:d};

-- name: a folded nick that the message names, in its last edit if it has one.
create table mention (
  name text not null,
  key integer not null,
  primary key (name, key)
) strict, without rowid;

create index mentioned on mention (key);

-- The words of messages, by their keys, as they are after their last edit.
{WORDS};
"""

MIGRATIONS: tuple[str, ...] = (_FIRST, _SECOND)
"""Statements that make version n + 1 (`PRAGMA user_version`) out of version n; 0 is empty."""


def key(room: int, offset: int) -> int:
    """The key of a message.

    Args:
        room: number of its room, 1 to `LAST_ROOM`.
        offset: its offset, 1 to `LAST_OFFSET`; 0 for the place before the first.
    """
    return room << OFFSET_BITS | offset
