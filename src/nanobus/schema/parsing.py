"""From the text of a schema.json to a Schema that keeps every rule, and back.

    {"format": 1, "nanobus": "0.1.0",
     "messages": [{"id": 7, "name": "Quote", "codec": "record", "fingerprint": "...", "since": 0, "layout": {...}}],
     "sources": [{"id": 1, "name": "Feed"}]}

What is not known here is refused, not skipped: writing the schema again would lose it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from nanobus.errors import SchemaError
from nanobus.schema.entries import MessageEntry, Schema, SourceEntry
from nanobus.schema.values import reader_of

FORMAT = 1
LARGEST_ID = 0xFFFF
LARGEST_POSITION = 2**64 - 1


def text_of(schema: Schema, version: str) -> str:
    """Write a schema, and the version of the library that does."""
    content = {
        "format": FORMAT,
        "nanobus": version,
        "messages": [asdict(entry) for entry in schema.messages],
        "sources": [asdict(source) for source in schema.sources],
    }
    return json.dumps(content, indent=1) + "\n"


def parse(text: bytes, file: str) -> Schema:
    """Read what `text_of` wrote.

    Raises
    ------
    SchemaError
        Naming `file`, the rule that the text breaks, and the value.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{file} must be JSON: {error}") from error
    return Checker(file).schema(content)


class Checker:
    """Checks the parts of one file, and names it in every error."""

    def __init__(self, file: str) -> None:
        self.file = file

    def schema(self, content: Any) -> Schema:
        if isinstance(content, dict) and "format" in content and content["format"] != FORMAT:
            self.refuse("its format", f"{FORMAT}: another version wrote it", content["format"])
        self.check_keys("it", content, {"format": int, "nanobus": str, "messages": list, "sources": list})
        messages = tuple(self.message(f"messages[{i}]", one) for i, one in enumerate(content["messages"]))
        sources = tuple(self.source(f"sources[{i}]", one) for i, one in enumerate(content["sources"]))
        for entry, following in pairwise(messages):
            if (entry.id, entry.since) > (following.id, following.since):
                self.refuse("messages", "in order of id and since", f"{following.id} since {following.since}")
        for source, next_source in pairwise(sources):
            if source.id >= next_source.id:
                self.refuse("sources", "in order of id, each once", next_source.id)
        return Schema(messages, sources)

    def message(self, place: str, content: Any) -> MessageEntry:
        kinds = {"id": int, "name": str, "codec": str, "fingerprint": str, "since": int, "layout": dict}
        self.check_keys(place, content, kinds)
        self.check_range(f"{place}.id", content["id"], LARGEST_ID)
        self.check_range(f"{place}.since", content["since"], LARGEST_POSITION)
        try:
            reader_of(content["layout"])
        except (ValueError, RecursionError) as error:
            raise SchemaError(f"{self.file}: {place}.layout: {error}") from error
        return MessageEntry(**content)

    def source(self, place: str, content: Any) -> SourceEntry:
        self.check_keys(place, content, {"id": int, "name": str})
        self.check_range(f"{place}.id", content["id"], LARGEST_ID)
        return SourceEntry(**content)

    def check_keys(self, place: str, content: Any, kinds: dict[str, type]) -> None:
        if not isinstance(content, dict) or content.keys() != kinds.keys():
            self.refuse(place, f"an object of {', '.join(kinds)}", content)
        for key, kind in kinds.items():
            if type(content[key]) is not kind:
                self.refuse(f"{place}.{key}" if place != "it" else key, f"of type {kind.__name__}", content[key])

    def check_range(self, place: str, number: int, largest: int) -> None:
        if not 0 <= number <= largest:
            self.refuse(place, f"in 0..{largest}", number)

    def refuse(self, place: str, rule: str, value: object) -> None:
        raise SchemaError(f"{self.file}: {place} must be {rule}, got {value!r:.200}")
