"""What C functions send: where it goes, what is refused, and that it replays."""

import ctypes
import struct
import threading

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    JournalBus,
    Messenger,
    Record,
    Worker,
    i64,
    message,
    native,
    on,
    upcast,
)
from nanobus.bus.codec import find_codec
from nanobus.codecs import codec_for
from nanobus.journaling import write_down
from nanobus.natives import send_function
from native_services import (
    OUTSIDE,
    SECONDS,
    Answer,
    End,
    Ending,
    Question,
    Raw,
    answering,
    fields,
    multiplying,
    run,
)
from programs import wait_until


def test_what_a_function_sends_has_source_and_cause(native_cores):
    bus = CircularBus(1 << 16)
    _, answers, positions = run(multiplying(native_cores), Question(3, 0), Question(4, 0), bus=bus)
    assert answers == [3, 4]
    with bus.reader("oldest") as reader:
        sent = [one for one in iter(lambda: reader.read(0), None) if one.message_id == 1212]
    assert [(one.source, one.cause) for one in sent] == [(82, position) for position in positions]


def test_the_cause_of_a_message_is_told(native_cores):
    class Causes(Handler, id=90):
        def __init__(self, config):
            super().__init__(config)
            self.tally = bytearray(72)
            config.append(self)

        answers = on(Answer)(native(native_cores.ADDRESSES["tally"], state="tally"))

    class Asked(multiplying(native_cores), id=91):
        pass

    bus, made = CircularBus(1 << 16), []
    workers = [
        Worker("asked", [Asked, Ending], {(OUTSIDE, Question): [Asked], (OUTSIDE, End): [Ending]}),
        Worker("causes", [Causes], {(Asked, Answer): [Causes]}),
    ]
    with Messenger(bus, workers, made).run() as handles:
        position = bus.sender(OUTSIDE).send(Question(1, 0))
        with bus.reader("oldest") as reader:
            assert reader.read(SECONDS) is not None
            assert reader.read(SECONDS) is not None         # the answer: what comes now is handled behind it
        bus.sender(OUTSIDE).send(End(0))
        handles.join(SECONDS)
    assert fields(made[0].tally, native_cores)["cause"] == position


@pytest.mark.parametrize(
    ("wish", "status"),
    [((1212, 8), 0), ((1212, 9), -2), ((1213, 100), 0), ((1211, 16), -3), ((1213, 4096), -2)],
)
def test_what_was_not_declared_is_refused_by_status(native_cores, wish, status):
    class Sending(Handler):
        def __init__(self, config):
            super().__init__(config)
            self.wish = bytearray(struct.pack("4q", *wish, 99, 0))

        questions = on(Question)(native(native_cores.ADDRESSES["send_badly"], state="wish", sends=[Answer, Raw]))

    handler, answers, _ = run(Sending, Question(1, 0), bus=CircularBus(4096))
    assert struct.unpack("4q", handler.wish)[2] == status
    assert answers == ([0] if wish == (1212, 8) else [])


def test_a_refusal_that_is_returned_says_what_it_means(native_cores):
    class Forgetful(Handler):
        questions = on(Question)(native(native_cores.ADDRESSES["answer"]))

    with pytest.raises(HandlerError, match="returned -3: it sent a message that `sends`"):
        run(Forgetful, Question(1, 0))


def test_an_outlet_is_refused_in_other_threads_and_after_the_end(native_cores):
    kept, statuses = [], []
    send = send_function()
    answer = ctypes.c_int64(1)

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def keep(message, payload, outlet, state):
        def send_elsewhere():
            statuses.append(send(outlet, 1212, ctypes.byref(answer), 8))

        kept.append(outlet)
        thread = threading.Thread(target=send_elsewhere)
        thread.start()
        thread.join()
        statuses.append(send(outlet, 1212, ctypes.byref(answer), 8))
        return 0

    class Keeping(Handler):
        questions = on(Question)(native(keep, sends=[Answer]))

    _, answers, _ = run(Keeping, Question(1, 0))
    statuses.append(send(kept[0], 1212, ctypes.byref(answer), 8))
    statuses.append(send(None, 1212, ctypes.byref(answer), 8))
    statuses.append(send(12345678, 1212, ctypes.byref(answer), 8))
    assert statuses == [-4, 0, -5, -5, -5]
    assert answers == [1]


def test_a_full_ring_takes_what_functions_send_by_way_of_the_outbox(native_cores):
    class Many(multiplying(native_cores)):
        times = bytearray(struct.pack("q", 100))

    _, answers, _ = run(Many, *[Question(1000 * number, 0) for number in range(50)], bus=CircularBus(4096))
    assert answers == [1000 * number + one for number in range(50) for one in range(100)]


def test_a_full_outbox_is_an_error_with_its_reason(native_cores):
    class TooMany(multiplying(native_cores)):
        times = bytearray(struct.pack("q", 10_000))

    with pytest.raises(HandlerError, match="returned -1: there was no room") as told:
        run(TooMany, Question(0, 0), bus=CircularBus(4096), outbox_limit=1024)
    assert "the worker's outbox holds" in str(told.value.__cause__.__cause__)


def test_a_refusal_that_the_function_forgives_is_no_error():
    statuses, send, answer = [], send_function(), ctypes.c_int64(1)
    full = threading.Event()

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def fill(message, payload, outlet, state):
        while (status := send(outlet, 1212, ctypes.byref(answer), 8)) == 0:
            pass
        statuses.append(status)
        full.set()
        return 0

    class Filling(Handler, id=89):
        questions = on(Question)(native(fill, sends=[Answer]))

    bus = CircularBus(4096, overflow="error")
    with bus.reader("newest"):                              # it reads nothing
        with Messenger(bus, [Worker("a", [Filling], {(OUTSIDE, Question): [Filling]})]).run() as handles:
            bus.sender(OUTSIDE).send(Question(1, 0))
            assert full.wait(SECONDS)
            handles.stop(drain=False)
        assert handles.statistics()["a"]["failures"] == 0
    assert statuses == [-1]


def test_a_closed_bus_ends_a_native_worker(native_cores):
    class Kept(answering(native_cores), id=94):
        pass

    bus = CircularBus(1 << 16)
    handles = Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Question): [Kept]})]).run()
    bus.sender(OUTSIDE).send(Question(1, 0))
    bus.close()
    with pytest.raises(HandlerError, match="closed"):
        handles.join(SECONDS)


def test_replay_rebuilds_and_verifies_native_handlers(tmp_path, native_cores):
    class Counting(multiplying(native_cores), id=95):
        def __init__(self, config):
            super().__init__(config)
            self.tally = bytearray(72)

        answers = on(Answer)(native(native_cores.ADDRESSES["tally"], state="tally"))

    routes = {(OUTSIDE, Question): [Counting], (Counting, Answer): [Counting], (OUTSIDE, End): [Ending]}
    with JournalBus(tmp_path / "journal") as journal:
        messenger = Messenger(journal, [Worker("a", [Counting, Ending], routes)])
        with messenger.run() as handles:
            sender = journal.sender(OUTSIDE)
            for number in range(10):
                sender.send(Question(number, 0))
            wait_until(lambda: handles.statistics()["a"]["handled"] >= 20)
            sender.send(End(0))
            handles.join(SECONDS)
        result = messenger.replay(journal, "verify")
        assert (result.sends, result.compared, result.unfinished) == (10, 10, 0)
        assert fields(result.handlers[Counting].tally, native_cores)["sum"] == 45
        struct.pack_into("q", Counting.times, 0, 2)
        with pytest.raises(Exception, match="Counting on Question at position .* diverges"):
            messenger.replay(journal, "verify")
    assert "Answer" in (tmp_path / "journal" / "schema.json").read_text()


def test_a_worker_at_a_cursor_sends_nothing_twice_natively(tmp_path, native_cores):
    class Kept(multiplying(native_cores), id=96):
        pass

    with JournalBus(tmp_path / "journal") as journal:
        routes = {(OUTSIDE, Question): [Kept], (OUTSIDE, End): [Ending]}
        sender = journal.sender(OUTSIDE)
        asked = [sender.send(Question(number, 0)) for number in range(10)]
        for position in asked[:6]:                          # what a former life of the worker had answered
            journal.write(96, 1212, struct.pack("q", asked.index(position)), cause=position)
        sender.send(End(0))
        worker = Worker("a", [Kept, Ending], routes, cursor="a")
        with Messenger(journal, [worker]).run() as handles:
            handles.join(SECONDS)
        with journal.reader("oldest") as reader:
            answers = [one for one in iter(lambda: reader.read(0), None) if one.message_id == 1212]
    assert [struct.unpack("q", one.payload)[0] for one in answers] == list(range(10))
    assert [one.cause for one in answers] == asked


def test_a_synced_journal_keeps_its_promise_for_native_sends(tmp_path, native_cores):
    with JournalBus(tmp_path / "journal", sync="commit") as journal:
        _, answers, _ = run(multiplying(native_cores), Question(1, 0), Question(2, 0), bus=journal)
        assert journal.statistics().durable == journal.head
    assert answers == [1, 2]


def test_an_older_layout_is_handed_over_as_what_its_upcast_makes_of_it(tmp_path, native_cores):
    class Old(Record):
        value: i64

    @message(id=1290)
    class Now(Record):
        value: i64
        more: i64

    old = codec_for(Old, 1290)

    @upcast(Now, from_fingerprint=old.fingerprint)
    def upcast_old(one):
        return Now(100 + one.value, 0)

    class Noting(Handler, id=97):
        def __init__(self, config):
            super().__init__(config)
            self.tally = bytearray(72)

        numbers = on(Now)(native(native_cores.ADDRESSES["tally"], state="tally"))

    with JournalBus(tmp_path / "journal") as journal:
        write_down(journal, [old], {})
        journal.write(OUTSIDE, 1290, struct.pack("q", 5))
    with JournalBus(tmp_path / "journal") as journal:
        messenger = Messenger(journal, [Worker("a", [Noting], {(OUTSIDE, Now): [Noting]}, cursor="a")])
        with messenger.run() as handles:
            journal.sender(OUTSIDE).send(Now(7, 0))
            handles.stop(drain=True, timeout=SECONDS)
        result = messenger.replay(journal)
    seen = fields(result.handlers[Noting].tally, native_cores)
    assert (seen["count"], seen["sum"], seen["size"]) == (2, 112, 16)


def test_an_outlet_that_a_hook_uses_outside_of_native_calls_goes_by_the_lock(tmp_path):
    kept = {}

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def keep(received, payload, outlet, state):
        kept["outlet"] = outlet
        return 0

    class Keeping(Handler, id=88):
        questions = on(Question)(native(keep, sends=[Answer]))

        def on_loop(self):
            while "outlet" in kept:
                code = send_function()(kept["outlet"], find_codec(Answer).message_id, answer, len(answer))
                if code:
                    codes.append(code)
                    break

    codes, answer = [], bytes(memoryview(Answer(0)))
    bus = JournalBus(tmp_path / "journal", segment_size=1 << 16)
    sender = bus.sender(OUTSIDE)
    with pytest.raises(HandlerError):
        with Messenger(bus, [Worker("a", [Keeping], {(OUTSIDE, Question): [Keeping]})]).run() as handles:
            sender.send(Question(1, 0))
            wait_until(lambda: bus.statistics().committed > 1000)
            bus.close()
            handles.join(SECONDS)
    assert set(codes) <= {-6, -5}


def test_a_refusal_outside_of_native_calls_is_not_the_reason_of_a_later_error():
    kept = []

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def keep_or_fail(received, payload, outlet, state):
        kept.append(outlet)
        return 7 if codes else 0

    class Keeping(Handler, id=87):
        questions = on(Question)(native(keep_or_fail, sends=[Raw]))

        def on_loop(self):
            if kept and not codes:
                codes.append(send_function()(kept[0], 1213, too_large, len(too_large)))
                self.send(Question(2, 0))

    codes, bus = [], CircularBus(4096)
    too_large = bytes(bus.max_payload + 1)
    routes = {(OUTSIDE, Question): [Keeping], (Keeping, Question): [Keeping]}
    with pytest.raises(HandlerError, match="returned 7") as told:
        with Messenger(bus, [Worker("a", [Keeping], routes)]).run() as handles:
            bus.sender(OUTSIDE).send(Question(1, 0))
            handles.join(SECONDS)
    assert codes == [-2]
    assert told.value.__cause__.__cause__ is None
