"""Which shard a message is for: the same one in every process and for ever."""

import enum
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobus import NanobusError, ShardKeyError
from nanobus.dispatch.division import Division


class Color(enum.Enum):
    RED = "red"
    NONE = None
    DEEP = b"deep"


class Level(enum.IntEnum):
    HIGH = 7


class Name(enum.StrEnum):
    RED = "red"


@dataclass
class Keyed:
    key: object


# Named cursors of shards depend on these numbers: they may never change.
KEYS = [0, 1, -1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 2**200, True, None, "", "ACME", b"ACME", "ä\ud800"]
SHARDS_OF_KEYS = [535, 465, 936, 915, 936, 890, 185, 312, 465, 535, 535, 3, 3, 110]
SHARDS_AT = {0: 535, 32: 465, 64: 110, 4096: 710, 2**40: 74, 2**63: 10}


def shard_of(key, count=1000):
    return Division(count, "key").of(Keyed(key))


def test_a_key_has_the_same_shard_for_ever():
    assert [shard_of(key) for key in KEYS] == SHARDS_OF_KEYS
    assert {position: Division(1000).at(position) for position in SHARDS_AT} == SHARDS_AT


def test_a_key_has_the_same_shard_in_a_process_with_other_hashes():
    code = """
        import json, test_division as this
        print(json.dumps([this.shard_of(key) for key in ("ACME", "", 5, None, "x" * 100)]))
    """
    printed = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())], check=True,
        capture_output=True, text=True, cwd=os.path.dirname(__file__), env={**os.environ, "PYTHONHASHSEED": "77"},
    ).stdout
    assert json.loads(printed) == [shard_of(key) for key in ("ACME", "", 5, None, "x" * 100)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ACME", b"ACME"),
        ("ACME", b"ACME\0\0"),
        ("Ä", "Ä".encode()),
        (1, True),
        (0, False),
        (None, b""),
        (Color.RED, "red"),
        (Color.NONE, None),
        (Color.DEEP, "deep"),
        (Level.HIGH, 7),
        (Name.RED, b"red"),
        (np.int16(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.str_("ACME"), "ACME"),
        (np.bytes_(b"ACME"), "ACME"),
    ],
)
def test_equal_keys_of_several_types_have_one_shard(one, other):
    assert shard_of(one, 65535) == shard_of(other, 65535)


@pytest.mark.parametrize("key", [1.0, np.float64(2.0), (1, 2), [1], object(), bytearray(b"x"), 1j])
def test_what_is_no_key_is_named(key):
    with pytest.raises(ShardKeyError, match=r"Keyed.key must be an int, str, bytes, None or an Enum") as caught:
        shard_of(key)
    assert isinstance(caught.value, NanobusError)
    assert isinstance(caught.value, TypeError)
    assert str(caught.value).endswith(f"got {key!r}")


def test_missing_field_is_named():
    with pytest.raises(ShardKeyError, match="a Keyed has no 'account', which its receivers are sharded by"):
        Division(2, "account").of(Keyed(1))


@pytest.mark.parametrize("step", [32, 64, 96, 128, 4096, 1 << 20])
@pytest.mark.parametrize("count", [2, 3, 4, 7, 16])
def test_positions_are_spread_evenly_however_far_apart(step, count):
    check_spread([Division(count).at(number * step) for number in range(4000)], count)


@pytest.mark.parametrize("make", [int, lambda n: -n, lambda n: n << 20, lambda n: n << 70, str, "account-{}".format])
@pytest.mark.parametrize("count", [2, 3, 16])
def test_keys_are_spread_evenly(make, count):
    division = Division(count, "key")
    check_spread([division.of(Keyed(make(number))) for number in range(4000)], count)


def check_spread(shards, count):
    expected = len(shards) / count
    tolerance = 5 * expected**0.5                       # of a fair choice: five standard deviations
    assert set(shards) == set(range(count))
    assert all(abs(shards.count(one) - expected) < tolerance for one in range(count))


@given(st.one_of(st.integers(), st.text(), st.binary(), st.none()), st.integers(1, 0xFFFF))
def test_every_key_has_a_shard(key, count):
    assert 0 <= shard_of(key, count) < count


def test_a_place_outside_of_the_payload_is_refused():
    with pytest.raises(ValueError, match="a field must end within its payload of 8 bytes, got 4 [+] 8"):
        Division(2, "key", {1: (4, 8, "q", 8)})
    with pytest.raises(ValueError, match="count must be > 0, got 0"):
        Division(0)
