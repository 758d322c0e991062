"""Layer 2: the totally ordered log of slots that all workers share.

base             the contract: BusWriter, BusReader, Bus; what every bus shows to Python
envelope         Envelope and Gap: what a reader hands out
codec            Codec: how an object becomes a payload and back; which class has which
forking          what becomes of lines when a process forks, or becomes another program
sharing          SharedBus: what workers in other processes need of a bus
handover         how a reader's line passes from one process to another
queueing         bus.write while another thread's waits
sender           Sender: messages from outside any handler; claims in place
statistics       what bus.statistics() returns
times            points in time as timestamps
counters         reading them out of a control block
options          checking what buses are made with
references       weak ones, in a tuple
refusals         the errors that several places raise, in one wording
control          the control block: a picture and structs, nothing else
claims           who may write where: intents, the gate, sealing what the dead left behind
waiting          spin, yield, park, and waking who parked
slot_writer      commit and abort: what every writer with a line does alike
circular         CircularBus, the ring
circular_writer  claim, where the gate lets it
circular_reader  peek, advance, look at what may vanish
ring_file        the control block written, or checked when it exists

May import: memory, core, errors.
"""

import nanobus.bus.forking  # noqa: F401  # registers with os.fork
