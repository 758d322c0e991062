from typing import Any

from nanobus.bus.base import Bus

def write_in_turn(
    bus: Bus, source: Any, message_id: Any, payload: Any, cause: int | None, timeout: float | None
) -> int: ...
