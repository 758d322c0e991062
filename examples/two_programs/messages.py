"""What counter and kitchen tell each other."""

import msgspec
from nanobus import message


@message(id=1)
class Order(msgspec.Struct, frozen=True):
    number: int
    dish: str


@message(id=2)
class Meal(msgspec.Struct, frozen=True):
    """The order of that number is cooked."""

    number: int
    dish: str


@message(id=3)
class Closing(msgspec.Struct, frozen=True):
    """No more orders: the last message, that ends the other program."""
