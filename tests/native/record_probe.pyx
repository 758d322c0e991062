"""A codec's compiled side, for tests: payloads in a bytearray stand for slots on a bus."""
from libc.stdint cimport uint8_t, uintptr_t

from nanobus.bus.codec cimport Codec, EncodedMessage, release

from time import perf_counter_ns


cdef class Probe:
    """One codec as a worker holds it (`private=True`) or as the registry does."""
    cdef Codec codec

    def __init__(self, Codec codec not None, bint private=True):
        self.codec = codec.private() if private else codec

    def deliver(self, bytearray payload not None, handler):
        """Decode, call `handler(message)`, settle, then overwrite the payload as a bus does."""
        message = self.codec.decode(<const uint8_t *> <char *> payload, len(payload))
        try:
            handler(message)
        finally:
            self.codec.settle(message)
            for i in range(len(payload)):
                payload[i] = 0xEE

    def receive(self, bytearray payload not None):
        """Decode and settle: what the caller keeps."""
        message = self.codec.decode(<const uint8_t *> <char *> payload, len(payload))
        self.codec.settle(message)
        return message

    def lend(self, bytearray payload not None):
        """Decode only: a view until `settle`."""
        return self.codec.decode(<const uint8_t *> <char *> payload, len(payload))

    def settle(self, message):
        self.codec.settle(message)

    def open(self, bytearray payload not None):
        if len(payload) != self.codec.fixed_size:
            raise ValueError(f"the payload must have {self.codec.fixed_size} bytes, got {len(payload)}")
        return self.codec.open_in_place(<uint8_t *> <char *> payload)

    def close(self, message):
        self.codec.close_in_place(message)

    def encoded(self, message):
        """Return a copy of the encoded bytes, and the address where they were."""
        cdef EncodedMessage encoded
        self.codec.encode(message, &encoded)
        try:
            return (<const char *> encoded.payload)[:encoded.size], <uintptr_t> encoded.payload
        finally:
            release(&encoded)

    def time_calls(self, bytearray payload not None, handler, int rounds):
        """Return (ns a bare call, ns a delivery): calls of `handler` with a message decoded before, and deliveries."""
        cdef const uint8_t *start = <const uint8_t *> <char *> payload
        cdef Py_ssize_t size = len(payload)
        message = self.codec.decode(start, size)
        began = perf_counter_ns()
        for _ in range(rounds):
            handler(message)
        bare = perf_counter_ns() - began
        self.codec.settle(message)
        message = None
        began = perf_counter_ns()
        for _ in range(rounds):
            message = self.codec.decode(start, size)
            handler(message)
            self.codec.settle(message)
            message = None
        return bare / rounds, (perf_counter_ns() - began) / rounds
