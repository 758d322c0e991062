"""Every line with a `type: ignore` is a mistake that `mypy --strict` must find."""

from __future__ import annotations

from nanobus import CircularBus, Envelope, Handler, Messenger, Record, Worker, every, message, on, upcast
from nanobus.field_types import f64


@message(id=1)
class Quote(Record):
    bid: f64


class Plain:
    pass


@upcast(Quote, from_fingerprint="0b10016f48bb29bd")  # type: ignore[arg-type]
def quote_of_old(old: object) -> Plain:
    return Plain()


class Feed(Handler, id=1):
    @on()
    def nothing(self) -> None:
        self.claim(Plain)  # type: ignore[type-var]
        with self.claim(Quote) as quote:
            quote.bid = "1"  # type: ignore[assignment]
            quote.ask = 1.0  # type: ignore[attr-defined]

    @every("often")  # type: ignore[arg-type]
    def tick(self) -> None:
        self.now = 3  # type: ignore[misc]
        self.send(1, 2)  # type: ignore[call-arg]


class Unknown(Handler, id="x"):  # type: ignore[arg-type]
    pass


on(1)  # type: ignore[arg-type]
message(id="x")  # type: ignore[call-overload]
message(3, id=3)  # type: ignore[call-overload]
Quote("bid")  # type: ignore[arg-type]

CircularBus("large")  # type: ignore[arg-type]
CircularBus(4096, overflow="drop")  # type: ignore[arg-type]
CircularBus(4096, wait="never")  # type: ignore[arg-type]
bus = CircularBus(4096)
bus.capacity = 3  # type: ignore[misc]
bus.write(1, 1, "text")  # type: ignore[arg-type]
bus.write(1, 1, b"", 3)  # type: ignore[call-arg]
bus.reader(start=0.5)  # type: ignore[arg-type]
bus.reader("oldest", True)  # type: ignore[call-arg]
bus.sender("Feed")  # type: ignore[arg-type]
payload = bus.read(0).payload  # type: ignore[union-attr]
bus.reader().read(timeout="1")  # type: ignore[arg-type]

Worker("io", [Feed()])  # type: ignore[list-item]
Worker("io", [Feed], routes={("Feed", Quote): [Feed]})  # type: ignore[dict-item]
Worker("io", [Feed], on_error="retry")  # type: ignore[arg-type]
Messenger(bus, [Feed])  # type: ignore[list-item]
Messenger(bus, [], only=[Feed])  # type: ignore[list-item]
Messenger(workers=[])  # type: ignore[call-arg]
Messenger(bus, []).replay(bus, "inspect")  # type: ignore[arg-type]
Messenger(bus, []).replay(bus, only=[Feed()])  # type: ignore[list-item]
Messenger(bus, []).replay(bus, until="now")  # type: ignore[arg-type]
Worker("io", [Feed], cursor=3)  # type: ignore[arg-type]
Worker("io", [Feed], shards="2")  # type: ignore[arg-type]
Worker("io", [Feed], shards=2, shard_by=3)  # type: ignore[arg-type]


class Derived(Envelope):  # type: ignore[misc]
    pass
