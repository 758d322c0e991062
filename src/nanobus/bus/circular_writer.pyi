from typing import final

from nanobus.bus.base import BusWriter

@final
class CircularWriter(BusWriter): ...
