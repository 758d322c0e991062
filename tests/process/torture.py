"""Three writers and three readers on one bus, killed at random every few milliseconds; prints the figures.

    python torture.py --bus ring|journal [--seconds 5] [--seed N] [--folder /dev/shm]

The parent opens no bus: it forks, kills and forks again, so that a new life takes no start of an interpreter. Beside
the tortured lives a judge (torture_judge.py), who is never killed. Every few seconds there is a rest, in which each of
the living has to get on. Exits with 1 if anything is lost, comes twice, is torn, hangs, or is left behind.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from torture_actors import ReaderLife, WriterLife, mode_of
from torture_judge import Judge
from torture_notes import READERS, WRITERS, Notes

from forking import fork

HANG_SECONDS = 20
REST_EVERY_SECONDS = 2
LONGEST_BETWEEN_KILLS = 0.006
FOLDER = "nanobus-torture-"


class TortureError(Exception):
    """What may not happen."""


class Victim:
    """A writer or a reader: one process after the other."""

    def __init__(self, torture: Torture, kind: str, number: int) -> None:
        self.torture = torture
        self.kind = kind
        self.number = number
        self.life = 0
        self.mode = ""
        self.resumes_at = 0
        self.process = 0
        self.is_killed = False

    def begin(self) -> None:
        self.life += 1
        self.is_killed = False
        dice = random.Random(f"{self.torture.seed}/{self.kind}/{self.number}/{self.life}")
        path, notes = self.torture.path, self.torture.notes
        if self.kind == "writer":
            self.process = fork(lambda: WriterLife(path, notes, self.number, dice).run())
            return
        self.mode = mode_of(self.number, path, dice)
        self.process = fork(
            lambda: ReaderLife(path, notes, self.number, self.life, self.mode, self.resumes_at, dice).run()
        )

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        self.is_killed = True

    def bury(self) -> bool:
        """Tell the judge what the process has noted, if it has ended."""
        process, status = os.waitpid(self.process, os.WNOHANG)
        if not process:
            return False
        code = os.waitstatus_to_exitcode(status)
        if code not in (-signal.SIGKILL, 0):                # 0: a reader was told of a gap
            raise TortureError(f"{self.kind} {self.number}, life {self.life} {self.mode}: ended with {code}")
        self.torture.figures["kills"] += code == -signal.SIGKILL
        notes = self.torture.notes
        if self.kind == "writer":
            tried, acknowledged = notes.tried(self.number), notes.acknowledged(self.number)
            self.torture.say(kind="writer", writer=self.number, tried=tried, acknowledged=acknowledged)
            return True
        seen = notes.slice_of(self.number)
        gap = notes.gap_of(self.number)
        notes.forget_life(self.number)
        if seen is not None:
            self.resumes_at = seen.next
        self.torture.say(
            kind="reader", reader=self.number, mode=self.mode, life=self.life,
            seen=None if seen is None else list(vars(seen).values()), gap=gap,
        )
        return True

    def progress(self) -> tuple[int, int]:
        notes = self.torture.notes
        return self.life, notes.tried(self.number) if self.kind == "writer" else notes.turns(self.number)


class Torture:
    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.seed = seed
        self.notes = Notes()
        self.dice = random.Random(seed)
        self.figures: dict[str, Any] = {"kills": 0, "restarts": 0, "longest_stall_ms": 0.0, "longest_rest_ms": 0.0}
        self.words, self.judges_words = socket.socketpair()
        self.victims = [Victim(self, "writer", one) for one in range(WRITERS)]
        self.victims += [Victim(self, "reader", one) for one in range(READERS)]
        self.judge = 0
        self.seen = (0, 0.0)                                # by the judge; since when

    def run(self, seconds: float) -> dict[str, Any]:
        """Torture for so long; return the figures, violations among them."""
        verdict = self.path.with_suffix(".verdict")
        self.judge = fork(lambda: verdict.write_text(json.dumps(Judge(self.path, self.notes, self.judges_words).run())))
        self.wait_until(lambda: self.notes.place_life > 0, "the judge does not begin")
        try:
            for victim in self.victims:
                victim.begin()
            self.rest()
            began = rested = time.monotonic()
            while time.monotonic() - began < seconds:
                time.sleep(self.dice.uniform(0.0005, LONGEST_BETWEEN_KILLS))
                self.kill_some()
                self.bury_and_begin()
                self.watch()
                if time.monotonic() - rested > REST_EVERY_SECONDS:
                    self.rest()
                    rested = time.monotonic()
            self.figures["seconds"] = round(time.monotonic() - began, 1)
            self.finish()
        except BaseException:
            for process in [self.judge, *(victim.process for victim in self.victims)]:
                os.kill(process, signal.SIGKILL)
            raise
        return self.figures | json.loads(verdict.read_text())

    def kill_some(self) -> None:
        """One in ten times two at once. A killed process may need some time to be dead."""
        living = [victim for victim in self.victims if not victim.is_killed]
        for victim in self.dice.sample(living, min(len(living), 1 if self.dice.random() < 0.9 else 2)):
            victim.kill()

    def bury_and_begin(self) -> None:
        for victim in self.victims:
            if victim.bury():
                victim.begin()
                self.figures["restarts"] += 1

    def watch(self) -> None:
        """Note how long the bus has stood still while writers wanted to write."""
        seen, since = self.seen
        now = time.monotonic()
        if seen != self.notes.seen or not since:
            self.seen = self.notes.seen, now
        stall = now - self.seen[1] if since else 0.0
        self.figures["longest_stall_ms"] = max(self.figures["longest_stall_ms"], round(stall * 1000, 1))
        if stall > HANG_SECONDS:
            raise TortureError(f"hang: the judge has seen nothing for {stall:.1f} s")

    def rest(self) -> None:
        """Kill nobody until every one of the living has got on."""
        began = time.monotonic()
        before = [victim.progress() for victim in self.victims]

        def all_got_on() -> bool:
            self.bury_and_begin()
            return all(victim.progress() != one for victim, one in zip(self.victims, before, strict=True))

        self.wait_until(all_got_on, "somebody does not get on")
        rest = round((time.monotonic() - began) * 1000, 1)
        self.figures["longest_rest_ms"] = max(self.figures["longest_rest_ms"], rest)
        self.seen = 0, 0.0

    def wait_until(self, wanted: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not wanted():
            if time.monotonic() > deadline:
                raise TortureError(f"hang: {otherwise}: {[(one.kind, *one.progress()) for one in self.victims]}")
            time.sleep(0.0005)

    def finish(self) -> None:
        self.rest()
        self.notes.writers_stop = 1
        writers, readers = self.victims[:WRITERS], self.victims[WRITERS:]
        self.wait_until(lambda: all(not one.process or self.ended(one) for one in writers), "a writer does not stop")
        self.notes.readers_stop = 1
        self.wait_until(lambda: all(not one.process or self.ended(one) for one in readers), "a reader does not stop")
        self.say(kind="over")
        deadline = time.monotonic() + HANG_SECONDS * 3
        while not (ended := os.waitpid(self.judge, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                raise TortureError("hang: the judge comes to no end")
            time.sleep(0.001)
        if ended[1]:
            raise TortureError(f"the judge ended with {os.waitstatus_to_exitcode(ended[1])}")

    def ended(self, victim: Victim) -> bool:
        if victim.bury():
            victim.process = 0
        return not victim.process

    def say(self, **word: object) -> None:
        self.words.sendall(json.dumps(word).encode() + b"\n")


def leftovers() -> set[str]:
    """What of this library lies about, but for other runs of this program."""
    return {
        str(one) for folder in ("/dev/shm", tempfile.gettempdir()) if os.path.isdir(folder)
        for one in Path(folder).iterdir() if "nanobus" in one.name and not one.name.startswith(FOLDER)
    }


def main() -> NoReturn:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", choices=["ring", "journal"], required=True)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--folder", default="/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir())
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr, flush=True)
    before = leftovers()
    folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=given.folder))
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))   # by way of `run`, which takes the children along
    figures: dict[str, Any] = {"bus": given.bus, "seed": given.seed, "violations": []}
    try:
        figures |= Torture(folder / f"a.{given.bus}", given.seed).run(given.seconds)
    except TortureError as error:
        figures["violations"] = [str(error)]
    finally:
        beside = {one.name for one in folder.iterdir()} - {f"a.{given.bus}", "a.verdict"}
        shutil.rmtree(folder)
    if beside or leftovers() - before:
        figures["violations"].append(f"left behind: {beside | (leftovers() - before)}")
    print(json.dumps(figures))
    sys.exit(bool(figures["violations"]))


if __name__ == "__main__":
    main()
