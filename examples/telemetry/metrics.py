"""Metrics: how they are read from this machine, and what their names say of their units."""

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Unit:
    """Values up to `limit` (None: no limit), of which differences below `noise` mean nothing."""

    symbol: str
    noise: float
    limit: float | None


PERCENT = Unit("%", noise=5.0, limit=100.0)
BYTES_PER_SECOND = Unit("B/s", noise=250e3, limit=None)


def unit_of(metric: str) -> Unit:
    return BYTES_PER_SECOND if metric.startswith(("disk", "network")) else PERCENT


def text_of(metric: str, value: float) -> str:
    """Write a value with its unit: `34 %`, `1.2 MB/s`."""
    symbol = unit_of(metric).symbol
    if symbol == "%":
        return f"{value:.0f} %"
    thousands = 0
    while value >= 999.5 and thousands < 3:
        value, thousands = value / 1000, thousands + 1
    digits = 1 if thousands and value < 9.95 else 0
    return f"{value:.{digits}f} {('', 'k', 'M', 'G')[thousands]}{symbol}"


def read_percentages() -> dict[str, float]:
    """Return what is in use now; of each CPU: since the last call."""
    percentages = {f"cpu {number}": percent for number, percent in enumerate(psutil.cpu_percent(percpu=True))}
    return percentages | {"memory": psutil.virtual_memory().percent}


def read_counters() -> dict[str, int]:
    """Return the bytes moved since the machine started; a machine may lack a disk or a network."""
    disk, network = psutil.disk_io_counters(), psutil.net_io_counters()
    counters: dict[str, int] = {}
    if disk is not None:
        counters |= {"disk read": disk.read_bytes, "disk write": disk.write_bytes}
    if network is not None:
        counters |= {"network in": network.bytes_recv, "network out": network.bytes_sent}
    return counters
