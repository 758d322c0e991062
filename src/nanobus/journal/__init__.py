"""Layer 2, beside the ring: the bus that keeps everything, under the contract of bus/base.pxd.

    journal/                        the folder, mode 0700
        lock                        empty: who has it locked has the journal open
        control                     identity, head, lines of writers and readers, named cursors
        schema.json                 what each message id means
        0000000000000000.segment    slots from position 0 on
        0000000004000000.segment    ...

layout          pictures of the files
store           where segments are: a folder, or memory
segment         one segment, as far as a handle has it mapped
control_file    making and checking the control file; who may have it
journal_writer  claims, that go on into the next segment
journal_reader  looks, in place
seeking         single slots anywhere
durability      group commit: what is on the disk
recovery        what opening puts right
trimming        retention
cursors         named positions
keeping         what is done now and then: settle the dead, sync, trim, make the next segment ready
keeper          the thread that does it
journal         JournalBus
joining         it, opened again by a child process
reports         Recovery, JournalStatistics, Retention
failures        what a status means, said by name

For those who look without opening, or repair:
scanning        a walk over the slots of one segment, by reading alone
looking         what control file and headers say; new bytes of both
looks           the values that those two come to
scan            JournalScan: all of a journal, past damage
strays          named cursors that stand where no message begins
repair          what cannot be read is cut out, and kept aside

May import: bus, memory, core, errors.
"""
