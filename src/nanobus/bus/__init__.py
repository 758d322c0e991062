"""Layer 2: the totally ordered log of slots that all workers share.

base       the contract: BusWriter, BusReader, Bus; what every bus shows to Python
envelope   Envelope and Gap: what a reader hands out
codec      Codec: how an object becomes a payload and back; which class has which
sender     Sender: messages from outside any handler
control    the control block: a picture, a struct, nothing else
claims     who may write where: intents, the gate, sealing what the dead left behind
circular   CircularBus, the ring

May import: memory, core, errors.
"""
