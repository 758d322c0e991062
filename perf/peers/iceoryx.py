"""iceoryx2: publish-subscribe of a ctypes structure, polled; or with an event service beside it, to sleep on.

A publisher waits for a subscriber whose buffer is full, as a writer of ours does: by default it would overwrite.
"""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile
from typing import Any

from peers.link import End, Link, Shape

BUFFER = 64                                 # messages


class Iceoryx(Link):
    name = "iceoryx2"
    module = "iceoryx2"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.root = tempfile.mkdtemp(prefix="perf-")
        self.prefix = os.path.basename(self.root)       # of all its files, so that none is left behind

    def services(self) -> tuple[Any, Any, Any]:
        """Return a node, its publish-subscribe service, and the event that tells of a message."""
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        config = iceoryx2.config.default()
        config.global_cfg.root_path = iceoryx2.Path.new(self.root)
        config.global_cfg.prefix = iceoryx2.FileName.new(self.prefix)
        node = iceoryx2.NodeBuilder.new().config(config).create(iceoryx2.ServiceType.Ipc)
        name = iceoryx2.ServiceName.new("link")
        kind = type("Bytes", (ctypes.Structure,), {"_fields_": (("bytes", ctypes.c_char * self.shape.size),)})
        builder = node.service_builder(name).publish_subscribe(kind).enable_safe_overflow(False)
        builder = builder.subscriber_max_buffer_size(BUFFER).max_publishers(8).max_subscribers(8)
        return node, builder.open_or_create(), node.service_builder(name).event().open_or_create()

    def sender(self, number: int) -> End:
        import iceoryx2

        node, messages, events = self.services()
        waits = iceoryx2.BackpressureStrategy.RetryUntilDelivered
        publisher = messages.publisher_builder().backpressure_strategy(waits).create()
        notifier = events.notifier_builder().create()
        loan, size, copy, notify = publisher.loan_uninit, self.shape.size, ctypes.memmove, notifier.notify

        def send(payload: bytes) -> None:
            sample = loan()
            copy(sample.payload_ptr, payload, size)
            sample.assume_init().send()

        def send_and_tell(payload: bytes) -> None:
            send(payload)
            notify()

        return End(send if self.shape.wait == "spin" else send_and_tell, deleting(notifier, publisher, node))

    def receiver(self, number: int) -> End:
        node, messages, events = self.services()
        subscriber = messages.subscriber_builder().create()
        listener = events.listener_builder().create()
        look, size, string_at, sleep = subscriber.receive, self.shape.size, ctypes.string_at, listener.blocking_wait

        def receive() -> bytes:
            while (sample := look()) is None:
                pass
            return string_at(sample.payload_ptr, size)

        def receive_asleep() -> bytes:
            while (sample := look()) is None:
                sleep()
            return string_at(sample.payload_ptr, size)

        return End(receive if self.shape.wait == "spin" else receive_asleep, deleting(listener, subscriber, node))

    def close(self) -> None:
        shutil.rmtree(self.root)
        for left in glob.glob(f"/dev/shm/{self.prefix}*"):
            os.unlink(left)


def deleting(*ends: Any):  # type: ignore[no-untyped-def]
    def close() -> None:
        for end in ends:
            if hasattr(end, "delete"):
                end.delete()

    return close
