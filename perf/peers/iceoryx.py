"""iceoryx2: publish-subscribe of a ctypes structure, polled; or with an event service beside it, to sleep on."""

from __future__ import annotations

import ctypes
import glob
import os
import shutil
import tempfile

from peers.peer import SIZE, Ends, Programs, Wait


class Bytes(ctypes.Structure):
    _fields_ = (("bytes", ctypes.c_char * SIZE),)


class Iceoryx(Programs):
    name = "iceoryx2"
    package = "iceoryx2"
    module = "iceoryx2"

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self.root = tempfile.mkdtemp(prefix="peers-")
        self.prefix = os.path.basename(self.root)       # of all its files, so that none is left behind

    def open(self, asks: bool) -> Ends:
        import iceoryx2

        iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
        config = iceoryx2.config.default()
        config.global_cfg.root_path = iceoryx2.Path.new(self.root)
        config.global_cfg.prefix = iceoryx2.FileName.new(self.prefix)
        node = iceoryx2.NodeBuilder.new().config(config).create(iceoryx2.ServiceType.Ipc)

        def service(direction: str):  # type: ignore[no-untyped-def]
            return node.service_builder(iceoryx2.ServiceName.new(direction))

        outgoing, incoming = ("there", "back") if asks else ("back", "there")
        publisher = service(outgoing).publish_subscribe(Bytes).open_or_create().publisher_builder().create()
        subscriber = service(incoming).publish_subscribe(Bytes).open_or_create().subscriber_builder().create()
        notifier = service(outgoing).event().open_or_create().notifier_builder().create()
        listener = service(incoming).event().open_or_create().listener_builder().create()
        ends = [node, publisher, subscriber, notifier, listener]

        def close() -> None:
            while ends:
                end = ends.pop()
                if hasattr(end, "delete"):
                    end.delete()
            if asks:
                shutil.rmtree(self.root)
                for left in glob.glob(f"/dev/shm/{self.prefix}*"):
                    os.unlink(left)

        look, loan, size = subscriber.receive, publisher.loan_uninit, SIZE
        copy, string_at = ctypes.memmove, ctypes.string_at

        def send(payload: bytes) -> None:
            sample = loan()
            copy(sample.payload_ptr, payload, size)
            sample.assume_init().send()

        def receive() -> bytes:
            while (sample := look()) is None:
                pass
            return string_at(sample.payload_ptr, size)

        def send_and_tell(payload: bytes) -> None:
            send(payload)
            notifier.notify()

        def receive_asleep() -> bytes:
            while (sample := look()) is None:
                listener.blocking_wait()
            return string_at(sample.payload_ptr, size)

        return Ends(send, receive, close) if self.wait == "spin" else Ends(send_and_tell, receive_asleep, close)
