"""Named cursors that stand where no slot begins: inside of what is damaged, or of the padding that a repair made of it.

    slots       |  640  |  768  |  960  |        damaged: 640 and 768, sound again from 960 on
    padding     |      640      |  960  |        a cursor at 768 would never find a stamp: it goes to 640
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nanobus.journal.looks import Finding
from nanobus.journal.scan import JournalScan


def stray_cursors(scan: JournalScan, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield a Finding for each stray cursor; it resumes where the slot begins that it stands in.

    Parameters
    ----------
    scan : JournalScan
    findings : sequence of Finding
        What a whole `scan.walk` has yielded.

    Notes
    -----
    Cursors outside of the journal's ends are none of these: opening brings them back.
    """
    scan.refresh()
    control = scan.control
    if control is None or control.cursors is None:
        return
    for name, position in control.cursors.items():
        if control.tail <= position < scan.end:
            begins = beginning_of(scan, position, findings)
            if begins != position:
                yield Finding("cursor", position, begins, f"no message begins where the cursor {name!r} stands")


def beginning_of(scan: JournalScan, position: int, findings: Sequence[Finding]) -> int:
    """Return where the slot, or the damage, begins that `position` lies in."""
    base = position - position % scan.segment_size
    segment = scan.segment(position)
    if segment is None:                                 # missing, or retention was faster
        is_missing = any(one.kind == "missing" and (one.position or 0) <= position for one in findings)
        return base if is_missing else position
    onward = {one.position: one.resumes for one in findings if one.resumes != one.position}
    while segment.position < position:
        segment.walk(position)
        if segment.position > position:
            return segment.passed
        if segment.position < position:                 # nothing sound is there
            begins = segment.position
            resumes = onward.get(begins)
            if resumes is None or resumes > position:
                return begins
            segment.position = resumes
    return position
