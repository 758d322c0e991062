"""What can be wrong with a native method is told before anything runs."""

import ctypes
from dataclasses import dataclass

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    Messenger,
    Record,
    RoutingError,
    Worker,
    every,
    message,
    native,
    on,
    u64,
)
from nanobus.natives import DECLARATIONS, send_address, send_function

OUTSIDE = 500
SIGNATURE = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)


@SIGNATURE
def nothing(message, payload, outlet, state):
    return 0


@message(id=1221)
class Plain(Record):
    value: u64


@message(id=1222, codec="pickle")
@dataclass
class Pickled:
    value: int


@message(id=1223)
class Struct(ctypes.Structure):
    _fields_ = (("value", ctypes.c_uint64),)


def check(handler, kind=Plain):
    Messenger(CircularBus(1 << 14), [Worker("a", [handler], {(OUTSIDE, kind): [handler]})])


def test_a_function_has_an_address():
    with pytest.raises(ValueError, match="must be one, got 0x0"):
        native(0)
    with pytest.raises(ValueError, match="must be one, got -0x1"):
        native(-1)
    with pytest.raises(ValueError, match="must be one, got 0x1"):
        native(2**64)
    for wrong in (True, 1.5, "add", print, lambda *_: 0):
        with pytest.raises(TypeError, match="must be an address, or a function of ctypes, cffi or numba.cfunc"):
            native(wrong)


def test_a_known_signature_is_checked():
    with pytest.raises(TypeError, match="must return c_int32 and take 4 pointers"):
        native(ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)(lambda _: 0))
    with pytest.raises(TypeError, match="must return c_int32 and take 4 pointers"):
        native(ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(lambda *_: None))
    assert native(nothing).address == ctypes.cast(nothing, ctypes.c_void_p).value
    assert native(ctypes.CDLL(None).abs).address > 0        # it does not say


def test_a_signature_of_cffi_is_checked():
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    handle = ffi.cast("nanobus_handle", 4096)
    assert native(handle).address == 4096
    assert ffi.sizeof("nanobus_message") == 32
    for wrong in ("int32_t(*)(void *)", "void(*)(void *, void *, void *, void *)", "int32_t(*)(int, int, int, int)"):
        with pytest.raises(TypeError, match="a native handler must"):
            native(ffi.cast(wrong, 4096))
    with pytest.raises(TypeError, match="a native handler must"):
        native(ffi.cast("void *", 4096))
    with pytest.raises(ValueError, match="the address of a native handler"):
        native(ffi.cast("nanobus_handle", 0))


def test_a_signature_of_numba_is_checked():
    numba = pytest.importorskip("numba")
    pointer = numba.types.voidptr

    @numba.cfunc(numba.types.int32(pointer, pointer, pointer, pointer))
    def right(message, payload, outlet, state):
        return 0

    @numba.cfunc(numba.types.int64(pointer, pointer, pointer, pointer))
    def wrong_result(message, payload, outlet, state):
        return 0

    @numba.cfunc(numba.types.int32(pointer, pointer))
    def too_few(message, payload):
        return 0

    @numba.cfunc(numba.types.int32(pointer, numba.types.float64, pointer, pointer))
    def no_pointer(message, payload, outlet, state):
        return 0

    assert native(right).address == right.address
    for wrong in (wrong_result, too_few, no_pointer):
        with pytest.raises(TypeError, match=r"must be int32\(message, payload, outlet, state\)"):
            native(wrong)


def test_state_is_the_name_of_an_attribute():
    for wrong in (bytearray(8), "no name", 1):
        with pytest.raises(TypeError, match="state must be the name of an attribute"):
            native(nothing, state=wrong)
    with pytest.raises(TypeError, match="state is for a function"):
        native(state="total")


def test_sends_are_message_classes():
    for wrong in (Plain, [1], ["Plain"]):
        with pytest.raises(TypeError, match="sends must be message classes"):
            native(nothing, sends=wrong)


def test_only_plain_bytes_are_received_and_sent():
    class Receiving(Handler, id=1):
        values = on(Pickled)(native(nothing))

    class Sending(Handler, id=2):
        values = on(Plain)(native(nothing, sends=[Pickled]))

    class Undeclared(Handler, id=3):
        values = on(Plain)(native(nothing, sends=[int]))

    class Structs(Handler, id=4):
        values = on(Struct)(native(nothing, sends=[Struct]))

    with pytest.raises(RoutingError, match=r"Receiving.values: a native handler takes and sends a Record.*of pickle"):
        check(Receiving, Pickled)
    with pytest.raises(RoutingError, match=r"Sending.values: .*Pickled is a message of pickle"):
        check(Sending)
    with pytest.raises(RoutingError, match="int"):
        check(Undeclared)
    check(Structs, Struct)


def test_a_method_without_a_function_needs_a_compiled_class():
    class Pure(Handler, id=1):
        values = on(Plain)(native())

    with pytest.raises(RoutingError, match=r"Pure.values is native without a function.*Pure extends no Cython class"):
        check(Pure)


def test_a_native_method_is_no_timer_and_is_not_called():
    with pytest.raises(TypeError, match="@every marks plain methods"):
        every(1)(native(nothing))
    with pytest.raises(TypeError, match="called by its worker only"):
        native(nothing)()


@pytest.mark.parametrize("state", [None, b"read only", 5, memoryview(bytearray(8))[::2]])
def test_a_state_that_is_no_writable_buffer_ends_the_start(state):
    class Stateful(Handler, id=1):
        values = on(Plain)(native(nothing, state="total"))

        def __init__(self, config):
            super().__init__(config)
            self.total = state

    bus = CircularBus(1 << 14)
    messenger = Messenger(bus, [Worker("a", [Stateful], {(OUTSIDE, Plain): [Stateful]})])
    with pytest.raises(HandlerError, match=r"Stateful.total must be a writable contiguous buffer"):
        messenger.run()


def test_a_native_method_is_overridden_and_taken_out_like_any():
    class Base(Handler):
        values = on(Plain)(native(nothing))

    class Python(Base, id=1):
        def values(self, plain):
            pass

    class Out(Base, id=2):
        values = None

    assert Base.receives == Python.receives == {Plain: "values"}
    assert Out.receives == {}


def test_send_is_one_function_by_address_and_for_ctypes():
    function = send_function()
    assert ctypes.cast(function, ctypes.c_void_p).value == send_address()
    assert function(None, 1, None, 0) == -5
