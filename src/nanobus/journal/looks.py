"""What one sees of a journal without opening it: plain values, as of the moment of the look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Intent:
    """A claim that is in flight, or may be; `alive`: its writer's process is; `is_batch`: that is being committed."""

    position: int
    length: int
    alive: bool
    is_batch: bool


@dataclass(frozen=True, slots=True)
class LineLook:
    """Who has a writer or reader open; `position`: of a reader, where it is."""

    role: Literal["writer", "reader"]
    process: int
    alive: bool
    position: int | None


@dataclass(frozen=True, slots=True)
class ControlLook:
    """What the control file says. `cursors` is None where their names are damaged."""

    key: int
    segment_size: int
    head: int
    tail: int
    durable: int
    timestamps: bool
    checksum: bool
    intents: tuple[Intent, ...]
    lines: tuple[LineLook, ...]
    cursors: dict[str, int] | None


@dataclass(frozen=True, slots=True)
class HeaderLook:
    """What the header of a segment says; `created` in unix ns."""

    key: int
    segment_size: int
    base: int
    created: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something else than a sound message on the way through a journal.

    Attributes
    ----------
    kind : str
        "slot", "missing", "header", "head", "control", "schema", "cursor": damage, of what the word says. "claim": a
        writer has not finished, or died. "removed": retention was faster than the look.
    position : int or None
        Where it begins; None for the control file and the schema.
    resumes : int or None
        Where sound slots go on; None: nowhere, what comes before is all there is.
    reason : str
    """

    kind: Literal["slot", "missing", "header", "head", "control", "schema", "cursor", "claim", "removed"]
    position: int | None
    resumes: int | None
    reason: str

    @property
    def is_damage(self) -> bool:
        """Whether the journal must be repaired."""
        return self.kind not in ("claim", "removed")
