from typing_extensions import disjoint_base

from nanobus.bus.base import BusWriter

@disjoint_base
class SlotWriter(BusWriter): ...
