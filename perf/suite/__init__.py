"""What the runners of this folder share: a case, its rigs, and what becomes of the figures.

    case.py            a named measurement, and how pyperf runs a table of them
    budget.py          how long a run may take: quick, full
    topology.py        who sends to whom, as a graph of nodes and links
    messages.py        the messages of each codec and size, and how to make one
    handlers.py        nanobus as it is meant: each node a handler in a worker of its own
    round_trips.py     two handlers that ask and answer
    crew.py            workers in threads or processes that do as often as they are told
    loops.py           nodes as loops in Python over links
    natives.py         nodes as loops in C over buses
    posting.py         which of those a topology has where
    streams.py         the table of cases of one topology
    machine.py         processor, kernel, compiler, versions
    report.py          one Markdown table from the JSON of a run
    charts.py          pictures from the same
    figures.py         what both read out of it

Imports: case and topology know of no other; streams knows all rigs; report and charts know the JSON alone.
"""
