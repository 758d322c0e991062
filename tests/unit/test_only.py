"""A messenger that runs some workers of its table, and leaves the others to other programs."""

import warnings

import pytest

from nanobus import (
    CircularBus,
    CursorInUseError,
    Handler,
    JournalBus,
    Messenger,
    RoutingError,
    RoutingWarning,
    SchemaMismatchError,
    Worker,
    message,
    on,
)
from nanobus.journaling import schema_of
from services import OUTSIDE, Answer, AnswerKeeper, Doubler, Number


def table(**options):
    return [
        Worker("doubling", [Doubler], {(OUTSIDE, Number): [Doubler]}, **options),
        Worker("keeping", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
    ]


def config():
    return {"seen": []}


def test_two_messengers_share_a_table():
    bus = CircularBus(1 << 16)
    kept = config()
    doubling = Messenger(bus, table(), only=["doubling"])
    with Messenger(bus, table(), kept, only=["keeping"]).run() as keeping, doubling.run() as handles:
        assert set(handles.statistics()) == {"doubling"}
        assert set(keeping.statistics()) == {"keeping"}
        for value in (1, 2, -3):
            bus.sender(OUTSIDE).send(Number(value))
        keeping.join(30)                                    # the keeper stops its own messenger
        assert not handles.finished
    assert kept["seen"] == [2, 4, -6]
    assert handles.statistics()["doubling"]["handled"] == 3


def test_only_keeps_the_order_of_the_table_and_says_who_is_here():
    messenger = Messenger(CircularBus(4096), table(), only=["keeping", "doubling", "keeping"])
    assert [worker.name for worker in messenger.local] == ["doubling", "keeping"]
    assert [worker.name for worker in messenger.part(["keeping"]).local] == ["keeping"]
    assert messenger.part(["keeping"]).part(None).local == messenger.workers


def test_part_of_a_messenger_runs_beside_it():
    bus = CircularBus(1 << 16)
    whole = Messenger(bus, table(), config(), only=["doubling"])
    part = whole.part(["keeping"])
    with whole.run(), part.run() as handles:
        bus.sender(OUTSIDE).send(Number(-1))
        handles.join(30)
    assert whole.config["seen"] == [-2]
    assert part.config is whole.config


@pytest.mark.parametrize(
    ("only", "error", "text"),
    [
        (["doubling", "counting"], RoutingError, "only names 'counting', and the table has 'doubling', 'keeping'"),
        ([], ValueError, "only must name somebody"),
        ("doubling", TypeError, "only must be a sequence of worker names, got 'doubling'"),
        ([Doubler], TypeError, "only must be a sequence of worker names, got "),
    ],
)
def test_only_that_is_no_good_is_refused(only, error, text):
    messenger = Messenger(CircularBus(4096), table())
    for make in (lambda: Messenger(messenger.bus, table(), only=only), lambda: messenger.part(only)):
        with pytest.raises(error, match=text):
            make()


def test_what_is_left_to_others_is_checked_all_the_same():
    routes = {(OUTSIDE, Number): [AnswerKeeper]}
    with pytest.raises(RoutingError, match="no @on\\(Number\\) method"):
        Messenger(CircularBus(4096), [table()[0], Worker("keeping", [AnswerKeeper], routes)], only=["doubling"])
    with pytest.raises(RoutingError, match="worker 'doubling' has the cursor 'mine', and CircularBus keeps none"):
        Messenger(CircularBus(4096), table(cursor="mine"), only=["keeping"])


def test_routes_from_and_to_other_programs_are_no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RoutingWarning)
        for name in ("doubling", "keeping"):
            Messenger(CircularBus(4096), table(), only=[name]).part(["doubling"])


def test_worker_that_is_left_to_others_may_have_a_process_that_it_could_not_have_here():
    journal = JournalBus()                                  # in memory
    messenger = Messenger(journal, table(process=True), only=["keeping"])
    with pytest.raises(RoutingError, match="worker 'doubling' cannot have a process of its own"):
        messenger.part(["doubling"])
    messenger.run().stop()


def test_replay_runs_the_whole_table():
    bus = JournalBus()
    with Messenger(bus, table(), config()).run() as handles:
        for value in (1, -2):
            bus.sender(OUTSIDE).send(Number(value))
        handles.join(30)
    again = Messenger(bus, table(), config(), only=["doubling"])
    assert set(again.replay(bus, "verify").handlers) == {Doubler, AnswerKeeper}
    assert again.config["seen"] == [2, -4]


def test_journal_is_told_of_the_whole_table(tmp_path):
    with JournalBus(tmp_path) as journal:
        Messenger(journal, table(), config(), only=["doubling"]).run().stop()
        schema = schema_of(journal)
    assert {one.name for one in schema.messages} == {"Number", "Answer"}
    assert {one.name for one in schema.sources} == {"Doubler", "AnswerKeeper"}


def test_layout_that_differs_is_refused_though_no_worker_here_uses_it(tmp_path):
    msgspec = pytest.importorskip("msgspec")

    @message(id=1191)
    class Remark(msgspec.Struct):
        text: str

    @message(id=1191)
    class OtherRemark(msgspec.Struct):
        number: int

    def remarking(message_class):
        class Remarker(Handler, id=91):
            @on(message_class)
            def hear(self, remark):
                pass

        return Worker("remarking", [Remarker], {(Doubler, message_class): [Remarker]})

    with JournalBus(tmp_path) as journal:
        with Messenger(journal, [*table(), remarking(Remark)], config(), only=["doubling"]).run():
            journal.sender(OUTSIDE).send(Remark("one"))
        with pytest.raises(SchemaMismatchError, match="message 1191"):
            Messenger(journal, [*table(), remarking(OtherRemark)], only=["doubling"]).run()
        assert journal.statistics().readers == ()


def test_cursor_whose_worker_runs_elsewhere_is_refused(tmp_path):
    with JournalBus(tmp_path) as journal:
        first = Messenger(journal, table(cursor="doubling"), config(), only=["doubling"])
        second = first.part(["doubling"])
        third = first.part(["keeping"])
        with first.run() as handles, third.run():
            with pytest.raises(CursorInUseError, match="the cursor 'doubling' has a reader already"):
                second.run()
            journal.sender(OUTSIDE).send(Number(-1))
            handles.stop()
        assert first.config["seen"] == [-2]
        second.run().stop()
