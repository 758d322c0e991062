"""The protocols of claims.pxd, waiting.pxd and handover.pxd, checked with Spin: every order, a kill before any step.

    claims.pml      claim, commit, abort, seal, retire
    gate.pml        who may write where somebody still looks, in a ring that wraps
    park.pml        parking and waking
    handover.pml    a reader's line that passes from a process to its children

Each says on top what it holds to be true and how it can be broken; a broken variant must be caught, or the model does
not bite. To see how one fails, in a copy of the model's folder:

    spin -a -DNO_NEWS_COUNT park.pml && cc -DSAFETY -DNOREDUCE -DBFS -o pan pan.c && ./pan
    spin -t -p -g -DNO_NEWS_COUNT park.pml

-DNOREDUCE: partial order reduction does not know the rendezvous in an `unless` that a kill is.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = [
    pytest.mark.skipif(not shutil.which("spin"), reason="needs spin: apt-get install spin"),
    pytest.mark.skipif(not COMPILER, reason="needs a C compiler"),
]

HERE = Path(__file__).parent
DEEPEST = 1_000_000  # steps of one run
LONGEST_SECONDS = 300  # a hang: the slowest takes some twenty

TWO_LENGTHS = "WRITERS=3 LINES=3 SEALERS=1 DEATHS=2 END=3"
LINES_HANDED_ON = "WRITERS=2 LINES=1 SEALERS=2 DEATHS=2 END=3"
BATCH = "WRITERS=2 LINES=2 SEALERS=1 DEATHS=2 END=3 BATCH"
SEALED_BATCH = "WRITERS=2 LINES=2 SEALERS=2 DEATHS=2 END=2 BATCH"
READER = "WRITERS=2 READERS=1 SEALERS=0 DEATHS=1 END=3"
SEALER = "WRITERS=2 READERS=0 SEALERS=1 DEATHS=2 END=3"
TWO_SEALERS = "WRITERS=2 READERS=0 SEALERS=2 DEATHS=1 END=3"

HOLDS = {
    "two dead writers of three show one position with different lengths": ("claims", TWO_LENGTHS),
    "two sealers, who may die, agree on the length": ("claims", "WRITERS=2 LINES=2 SEALERS=2 DEATHS=2 END=2"),
    "a writer takes the line of a dead one while another claims": (
        "claims", "WRITERS=3 LINES=2 SEALERS=1 DEATHS=2 END=3",
    ),
    "a writer takes the only line while two sealers free it": ("claims", LINES_HANDED_ON),
    "a batch is there to its end or not at all, whoever dies": ("claims", BATCH),
    "two sealers of a batch agree on its length": ("claims", SEALED_BATCH),
    "writers do not overtake a reader that registers": ("gate", READER),
    "writers do not overtake a sealer, and a sealer may die": ("gate", SEALER),
    "writers do not overtake the slower of two sealers": ("gate", TWO_SEALERS),
    "without a kill nobody needs the re-check": ("park", "DEATHS=0"),
    "each kill costs each sleeper one re-check at most": ("park", "DEATHS=2"),
    "a place is handed on beside others, and free in the end": ("handover", "DEATHS=1"),
    "a place is handed on by those who die one after the other": ("handover", "DEATHS=2 STRANGERS=0"),
    "wakers that fence need no heavy fence": ("park", "DEATHS=0 NO_HEAVY_FENCE FENCED_WAKERS"),
}

CAUGHT = {
    "a sealer does not look at the stamp again": ("claims", TWO_LENGTHS, "NO_SECOND_LOOK"),
    "a sealer does not ask whether the owner is dead": ("claims", TWO_LENGTHS, "SEALS_THE_LIVING"),
    "a sealer takes an intent for a claim": ("claims", TWO_LENGTHS, "SEALS_UNCLAIMED"),
    "a sealer takes the longest length": ("claims", TWO_LENGTHS, "LONGEST_LENGTH"),
    "a sealer asks for the stamp before the intent": ("claims", TWO_LENGTHS, "STAMP_BEFORE_INTENT"),
    "the intent comes after the swap of the head": ("claims", TWO_LENGTHS, "INTENT_AFTER_SWAP"),
    "a loser keeps its intent": ("claims", TWO_LENGTHS, "LOSER_KEEPS_INTENT"),
    "the intent is cleared before the stamp": ("claims", TWO_LENGTHS, "CLEARED_BEFORE_STAMP"),
    "the stamp comes before the payload": ("claims", TWO_LENGTHS, "STAMP_BEFORE_PAYLOAD"),
    "a line is freed before its claim is settled": ("claims", TWO_LENGTHS, "FREED_BEFORE_SETTLED"),
    "two retirers free one line": ("claims", LINES_HANDED_ON, "RETIRED_BY_ALL"),
    "the first slot of a batch is stamped first": ("claims", BATCH, "FIRST_STAMP_FIRST"),
    "a batch that is being committed looks like any claim": ("claims", SEALED_BATCH, "NO_MARK"),
    "a sealer takes the length of a writer's next claim": ("claims", BATCH, "LENGTH_OF_ANOTHER"),
    "the stamps within a dead batch stay": ("claims", BATCH, "STAMPS_STAY"),
    "a writer does not fence its limit": ("gate", READER, "NO_WRITER_FENCE"),
    "a writer does not look for new readers again": ("gate", READER, "NO_SECOND_SCAN"),
    "a reader does not fence its registering": ("gate", READER, "NO_READER_FENCE"),
    "a reader does not look at the limits": ("gate", READER, "NO_LOOK_AT_LIMITS"),
    "a reader does not look at the head last": ("gate", READER, "NO_LOOK_AT_HEAD"),
    "a reader trusts its copy": ("gate", READER, "COPY_NOT_CHECKED"),
    "claims in flight do not gate": ("gate", READER, "CLAIMS_DO_NOT_GATE"),
    "the intent of a loser gates for ever": ("gate", READER, "LOSER_KEEPS_INTENT"),
    "a dead reader gates for ever": ("gate", READER, "DEAD_READERS_GATE"),
    "a sealer does not fence": ("gate", TWO_SEALERS, "NO_SEALER_FENCE"),
    "a sealer does not gate": ("gate", TWO_SEALERS, "SEALERS_DO_NOT_GATE"),
    "a sealer takes an intent of the last lap for a claim": ("gate", SEALER, "NO_LAP_LOOK"),
    "who parks does not fence": ("park", "DEATHS=0", "NO_HEAVY_FENCE"),
    "a waker looks before it publishes": ("park", "DEATHS=0", "NO_LIGHT_FENCE"),
    "a waker does not count news": ("park", "DEATHS=0", "NO_NEWS_COUNT"),
    "a sleeper does not look before it sleeps": ("park", "DEATHS=0", "NO_LAST_LOOK"),
    "a sleeper reads the news too late": ("park", "DEATHS=0", "SEEN_AFTER_BIT"),
    "a waker clears the bits too late": ("park", "DEATHS=0", "BITS_CLEARED_LAST"),
    "a waker wakes one of two": ("park", "DEATHS=0", "WAKES_ONE"),
    "a reaper does not ask for the heir": ("handover", "DEATHS=1", "HEIR_NOT_ASKED"),
    "who closes forgets the heir last": ("handover", "DEATHS=1", "HEIR_CLEARED_LAST"),
    "a place that is let go keeps its heir": ("handover", "DEATHS=1", "HEIR_STAYS"),
    "who takes back asks for the owner last": ("handover", "DEATHS=1", "OWNER_ASKED_LAST"),
    "who takes back does not ask for the turn": ("handover", "DEATHS=1", "TURN_NOT_ASKED"),
    "a child adopts without a swap": ("handover", "DEATHS=2", "ADOPTED_BY_STORE"),
    "a place is let go while its child is on its way": ("handover", "DEATHS=0", "LETS_GO_EARLY"),
}


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=LONGEST_SECONDS)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


class Verification:
    """All that Spin found out about a model with these macros defined."""

    def __init__(self, model: str, macros: str, folder: Path, optimize: str = "-O1") -> None:
        self.folder = folder
        self.file = f"{model}.pml"
        self.flags = [f"-D{macro}" for macro in macros.split()]
        shutil.copy(HERE / self.file, folder)
        run("spin", "-a", *self.flags, self.file, folder=folder)
        options = ("-DSAFETY", "-DNOREDUCE", "-DMEMLIM=3000")
        run(COMPILER or "cc", optimize, "-w", *options, "-o", "pan", "pan.c", folder=folder)
        self.report = run("./pan", f"-m{DEEPEST}", "-w22", folder=folder)

    @property
    def errors(self) -> int:
        found = re.search(r"errors: (\d+)", self.report)
        assert found, self.report
        return int(found[1])

    @property
    def complete(self) -> bool:
        return not re.search("Search not completed|max search depth too small|out of memory", self.report)

    def trail(self) -> str:
        return run("spin", "-t", "-p", "-g", *self.flags, self.file, folder=self.folder)


@pytest.mark.parametrize("name", HOLDS)
def test_protocol_holds_where(name, tmp_path):
    found = Verification(*HOLDS[name], tmp_path)
    assert found.errors == 0, found.report + found.trail()[-6000:]
    assert found.complete, found.report
    print(name, *re.findall(r"\d+ states, stored|elapsed time .*", found.report))


@pytest.mark.parametrize("name", CAUGHT)
def test_model_catches_that(name, tmp_path):
    model, macros, broken = CAUGHT[name]
    assert broken in (HERE / f"{model}.pml").read_text()
    found = Verification(model, f"{macros} {broken}", tmp_path, "-O0")  # most of it is compiling
    assert found.errors == 1, found.report
    assert re.search("assertion violated|invalid end state", found.report), found.report
