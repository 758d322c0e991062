"""The pictures in core/layout.pxd and bus/control.pxd are what the compiler made of them."""


def test_shared_structs_lie_as_drawn(native_layout):
    assert native_layout.offsets() == {
        "slot": {
            "stamp": 0, "size": 8, "source": 12, "message": 14,
            "timestamp": 16, "crc32c": 24, "cause": 28, "payload": 32,
        },
        "control": {"magic": 0, "head": 128, "parked": 256, "committed": 384, "boundaries": 512, "lines": 1024},
        "lines": {"writer": 128, "reader": 128},
    }
