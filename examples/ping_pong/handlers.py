"""Three nano-services. None of them knows who sends what it gets, nor who gets what it sends."""

from dataclasses import dataclass, field

from nanobus import Handler, on

from messages import Ping, Pong


@dataclass
class Rally:
    """How many pings there are; and what each handler got, for `main` to read once all of them have stopped."""

    pings: int
    got_by_a: list[int] = field(default_factory=list)
    got_by_b: list[int] = field(default_factory=list)
    heard_by_c: list[str] = field(default_factory=list)


class A(Handler, id=1):
    def on_start(self) -> None:
        self.send(Ping(1))

    @on(Pong)
    def pong(self, pong: Pong) -> None:
        self.config.got_by_a.append(pong.count)
        self.send(Ping(pong.count + 1))


class B(Handler, id=2):
    @on(Ping)
    def ping(self, ping: Ping) -> None:
        self.config.got_by_b.append(ping.count)
        if ping.count < self.config.pings:
            self.send(Pong(ping.count))
        else:
            self.stop()


class C(Handler, id=3):
    @on(Ping, Pong)
    def hear(self, message: Ping | Pong) -> None:
        self.config.heard_by_c.append(f"{type(message).__name__} {message.count}")
