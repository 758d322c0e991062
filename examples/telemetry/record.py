"""The record of a run: a journal, from which the same handlers make the same chart."""

from collections.abc import Sequence
from pathlib import Path

from nanobus import JournalBus, Messenger, Worker

from detector import Detector
from handlers import Recorder, Smoother
from history import History

DETERMINISTIC = [Smoother, Detector, Recorder]      # all but the sampler, which looks at the machine, and the screen


def open_record(folder: Path) -> JournalBus:
    """Make a journal for one run: what power takes away is at most the last tenth of a second."""
    journal = JournalBus(folder, sync="interval", sync_interval=0.1)
    if journal.head:
        journal.close()
        raise SystemExit(f"{folder} holds a run already; a record is of one run, from its first sample")
    return journal


def open_existing(folder: Path) -> JournalBus:
    if not (folder / "control").is_file():              # a JournalBus would make a new journal there
        raise SystemExit(f"there is no record in {folder}")
    journal = JournalBus(folder)
    found = journal.recovery
    print(f"{folder}: opened after a {found.reason}, {found.sealed} unfinished messages, {found.cut_bytes} bytes lost")
    return journal


def replay(folder: Path, workers: Sequence[Worker]) -> History:
    """Let the recorder see again all that it saw, up to the last message of the record."""
    history = History()
    with open_existing(folder) as journal:
        result = Messenger(journal, workers, config=history).replay(journal, only=[Recorder])
    if not result.handled:
        raise SystemExit(f"the record in {folder} ends before the first sample: there is nothing to replay")
    print(f"replayed {result.messages} messages in {result.seconds:.3f} s; the run {ending(history)}\n")
    return history


def ending(history: History) -> str:
    return "ended by itself" if history.is_finished else "was cut off"


def verify(folder: Path, workers: Sequence[Worker]) -> str:
    """Let the handlers answer the recorded messages again; a different answer is a DivergenceError."""
    with open_existing(folder) as journal:
        result = Messenger(journal, workers, config=History()).replay(journal, "verify", only=DETERMINISTIC)
    if not result.compared:
        raise SystemExit(f"the record in {folder} holds nothing that the handlers sent: nothing was compared")
    return (
        f"verified: the handlers send the same {result.compared} messages as recorded, "
        f"and {result.unfinished} that the record ends before"
    )
