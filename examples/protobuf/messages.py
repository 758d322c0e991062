"""The messages: the classes that protoc made of market.proto, each given an id.

`market_pb2.py` is generated and kept beside its source, as is usual:
    protoc --python_out=. --pyi_out=. market.proto
"""

from nanobus import message

from market_pb2 import Order, Quote

message(Quote, id=1)
message(Order, id=2)

__all__ = ["Order", "Quote"]
