"""Native handlers that a child process can import: the compiled module of tests/native_cores must be there first."""

import native_cores

from nanobus import Handler, native, on
from native_services import Answer, Question


class PlacedAnswering(native_cores.AnsweringCore, Handler, id=270):
    """Answers each question with its double."""

    questions = on(Question)(native(sends=[Answer]))


class PlacedListening(Handler, id=271):
    """Notes answers; stops the messenger once there are as many as the config wants."""

    @on(Answer)
    def answer(self, answer):
        self.config["seen"].append(answer.value)
        if len(self.config["seen"]) == self.config["wanted"]:
            self.stop()


class Summing(Handler, id=272):
    """Answers each question, and keeps a sum of its own."""

    def __init__(self, config):
        super().__init__(config)
        self.tally = bytearray(8 * len(native_cores.TALLY_FIELDS))

    questions = on(Question)(native(native_cores.ADDRESSES["tally"], state="tally"))

    def on_stop(self):
        (self.config["folder"] / f"{self.shard}").write_bytes(self.tally)
