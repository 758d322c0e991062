"""Handler methods that are C functions: how they are declared, and what is wrong with a declaration.

    quotes = on(Quote)(native(add, state="total", sends=[Order]))

What such a function is called with, and sends with, is here in the words of C, ctypes and numpy.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from nanobus.bus.codec import Codec, find_codec
from nanobus.codecs import ctypes as ctypes_codec
from nanobus.codecs import numpy as numpy_codec
from nanobus.codecs import raw as raw_codec
from nanobus.dispatch.native import NativeCall, NativeService
from nanobus.dispatch.permits import Permit, send_address
from nanobus.dispatch.service import Service
from nanobus.errors import MessageError, RoutingError
from nanobus.records.lending import RecordCodec

if TYPE_CHECKING:
    from ctypes import _CFunctionType

ANY_SIZE = 0
PARAMETERS = 4
FITS = f"a Record, {ctypes_codec.FITS}, {numpy_codec.FITS}, or {raw_codec.FITS}"

# For a C header, or `cdef` of cffi. What `send` returns: 0, or
#   -1 no room  -2 wrong size  -3 not among `sends`  -4 wrong thread  -5 ended  -6 the bus is closed  -7 another error
DECLARATIONS: Final = """
typedef struct {
    uint64_t position;      /* on the bus */
    uint64_t cause;         /* position of the message that this one was sent because of; UINT64_MAX: none */
    int64_t timestamp;      /* unix ns; 0 on a bus that writes none */
    uint32_t size;          /* bytes of the payload */
    uint16_t source;
    uint16_t message_id;
} nanobus_message;

typedef int32_t (*nanobus_handle)(const nanobus_message *message, const void *payload, void *outlet, void *state);
typedef int32_t (*nanobus_send)(void *outlet, uint16_t message_id, const void *payload, uint32_t size);
"""
# The same struct for `numpy.dtype(MESSAGE_FIELDS)`, which numba takes.
MESSAGE_FIELDS: Final = [
    ("position", "<u8"), ("cause", "<u8"), ("timestamp", "<i8"), ("size", "<u4"), ("source", "<u2"),
    ("message_id", "<u2"),
]  # fmt: skip


class NativeMethod:
    """What `native` returns: a C function in the place of a handler's method."""

    def __init__(self, address: int, state: str | None, sends: tuple[type, ...], owner: object) -> None:
        self.address = address              # 0: the handler's own C method
        self.state = state
        self.sends = sends
        self.owner = owner                  # of the code

    def __call__(self, *_: object) -> None:
        raise TypeError("a native method is called by its worker only")


def native(function: Any = None, *, state: str | None = None, sends: Iterable[type] = ()) -> NativeMethod:
    """Put a C function in the place of a handler's method: `quotes = on(Quote)(native(add, state="total"))`.

    It is called with (message, payload, outlet, state), and returns 0, or another number for an error:

        int32_t add(const nanobus_message *message, const void *payload, void *outlet, void *state);

    Parameters
    ----------
    function : int or object
        The address of such a function; or a function of ctypes or cffi, or a `numba.cfunc`. None: the handler's class
        extends a Cython class that extends NativeService, and that one's C method `receive` is it.
    state : str, optional
        The handler's attribute, a writable contiguous buffer such as a numpy array, whose address the function gets:
        it is looked up once, when `__init__` has run, and kept. None: NULL.
    sends : iterable of message classes
        What the native methods of the handler may send. `send_function` and `send_address` tell how.

    Returns
    -------
    NativeMethod
        To be given to `on`.

    Raises
    ------
    TypeError, ValueError
        Something else was given, a null address, or a function whose known signature is another one.

    Notes
    -----
    - Messages: Records, ctypes structures, arrays of a numpy dtype, raw bytes. `payload` points to their bytes on the
      bus, 32-byte aligned and read-only, until the function returns; of a message with an older layout to a copy of
      what its `@upcast` made of it, with the GIL held. The size of a Record or a structure was checked.
    - Threads: the worker's. A message all of whose receivers in the worker are native is handled without the GIL;
      beside Python receivers a native one is called in its turn, with the GIL held.
    - A number other than 0 is a NativeHandlerError, which the worker's `on_error` judges as it does any other error.
    - `outlet` stands for the handler while the worker runs, in the worker's thread: used elsewhere, or later, it is
      refused.
    - The code must stay where it is: the object is kept, an address alone is not. Nothing can protect from a function
      that writes elsewhere, or whose signature is another one.
    """
    if state is not None and (not isinstance(state, str) or not state.isidentifier()):
        raise TypeError(f"state must be the name of an attribute of the handler, or None, got {state!r}")
    if function is None and state is not None:
        raise TypeError(f"state is for a function, and a class that is compiled has its own, got {state!r}")
    if isinstance(sends, type):
        raise TypeError(f"sends must be message classes in a list, got {sends!r}")
    sent = tuple(sends)
    for one in sent:
        if not isinstance(one, type):
            raise TypeError(f"sends must be message classes, got {one!r}")
    return NativeMethod(0 if function is None else address_of(function), state, sent, function)


def address_of(function: Any) -> int:
    """Return the address of a C function, after a look at whatever it says about its signature."""
    if isinstance(function, int) and not isinstance(function, bool):
        address = function
    elif hasattr(function, "native_name") and hasattr(function, "address"):
        check_numba(function)
        address = function.address
    elif is_ctypes_function(function):
        address = address_of_ctypes(function)
    elif type(function).__module__ == "_cffi_backend":
        address = address_of_cffi(function)
    else:
        raise TypeError(
            f"a native handler must be an address, or a function of ctypes, cffi or numba.cfunc, got {function!r}"
        )
    if not 0 < address < 2 ** (8 * struct.calcsize("P")):
        raise ValueError(f"the address of a native handler must be one, got {address:#x}")
    return address


def check_numba(function: Any) -> None:
    signature = getattr(function, "_sig", None)
    if signature is None:
        return
    pointers = [
        type(one).__name__ in ("CPointer", "RawPointer") or str(one) in ("intp", "uintp", "int64", "uint64")
        for one in signature.args
    ]
    if str(signature.return_type) != "int32" or len(pointers) != PARAMETERS or not all(pointers):
        raise TypeError(
            f"a native handler must be int32(message, payload, outlet, state), of which all are pointers, "
            f"got {signature}"
        )


def is_ctypes_function(function: Any) -> bool:
    return any(base.__module__ == "_ctypes" and base.__name__ == "CFuncPtr" for base in type(function).__mro__)


def address_of_ctypes(function: Any) -> int:
    import ctypes

    returned, taken = function.restype, function.argtypes
    if returned is not ctypes.c_int32 or (taken is not None and len(taken) != PARAMETERS):
        raise TypeError(f"a native handler must return c_int32 and take {PARAMETERS} pointers, got {returned}, {taken}")
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def address_of_cffi(function: Any) -> int:
    backend = sys.modules["_cffi_backend"]
    kind = backend.typeof(function)
    if kind.kind != "function" or (kind.result.cname != "int32_t" and kind.result.cname != "int"):
        raise TypeError(f"a native handler must return int32_t, got {kind.cname}")
    if len(kind.args) != PARAMETERS or any(one.kind != "pointer" for one in kind.args):
        raise TypeError(f"a native handler must take {PARAMETERS} pointers, got {kind.cname}")
    return int(backend.FFI().cast("uintptr_t", function))


def send_function() -> _CFunctionType:
    """Return the C function that native handlers send with, as one of ctypes; numba takes it, too.

    `int32_t send(void *outlet, uint16_t message_id, const void *payload, uint32_t size)` copies the payload and returns
    0, or a negative number: see DECLARATIONS. `send_address()` is its bare address.
    """
    import ctypes

    kind = ctypes.CFUNCTYPE(
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_uint16, ctypes.c_void_p, ctypes.c_uint32
    )
    return kind(send_address())


def payload_size(message: Any) -> int:
    """Return the bytes that every payload of a message class has; ANY_SIZE where they differ.

    Raises
    ------
    MessageError
        Its payloads are no plain bytes.
    """
    codec = find_codec(message)
    if isinstance(codec, RecordCodec):
        return codec.fixed_size
    if codec.name == ctypes_codec.NAME and ctypes_codec.matches(message):
        import ctypes

        return ctypes.sizeof(message)
    if codec.name == raw_codec.NAME and raw_codec.matches(message):
        return ANY_SIZE
    if codec.name == numpy_codec.NAME and hasattr(message, "__array_finalize__"):
        return ANY_SIZE
    raise MessageError(f"a native handler takes and sends {FITS}; {message.__qualname__} is a message of {codec.name}")


def natives_of(handler: Any) -> dict[type, NativeMethod]:
    """Return message class -> native method of a Handler class."""
    found = {message: getattr(handler, name) for message, name in handler.receives.items()}
    return {message: method for message, method in found.items() if isinstance(method, NativeMethod)}


def check_natives(handler: Any) -> None:
    """Raise RoutingError for a native method that cannot run."""
    for message, method in natives_of(handler).items():
        name = f"{handler.__qualname__}.{handler.receives[message]}"
        for one in (message, *method.sends):
            try:
                payload_size(one)
            except MessageError as error:
                raise RoutingError(f"{name}: {error}") from error
        if method.address == 0 and not issubclass(handler, NativeService):
            raise RoutingError(
                f"{name} is native without a function, and {handler.__qualname__} extends no Cython class that "
                f"extends NativeService"
            )


class NativeCalls:
    """Makes the native calls of one running handler.

    Parameters
    ----------
    handler : Service
        Bound to its worker.
    """

    def __init__(self, handler: Service) -> None:
        self._handler = handler
        sends = [message for method in natives_of(type(handler)).values() for message in method.sends]
        codecs: list[tuple[Codec, int]] = [(find_codec(one), payload_size(one)) for one in dict.fromkeys(sends)]
        self._permit = Permit(handler, codecs)

    def call_of(self, method: NativeMethod, message: type) -> NativeCall:
        """Return what a worker calls for `message`.

        Raises
        ------
        TypeError, AttributeError
            The handler's state is no writable contiguous buffer, or it has none.
        """
        state = None
        try:
            if method.state is not None:
                state = memoryview(getattr(self._handler, method.state))    # None has no buffer either
            return NativeCall(self._handler, self._permit, method.address, state, payload_size(message))
        except (BufferError, TypeError, ValueError) as error:
            raise TypeError(
                f"{type(self._handler).__qualname__}.{method.state} must be a writable contiguous buffer, as it is the "
                f"state of a native method: {error}"
            ) from error
