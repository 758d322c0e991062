from typing import final

from nanobus.bus.base import BusReader

@final
class CircularReader(BusReader): ...
