"""Layer 5: workers in processes of their own.

supervision  WorkerProcess: one such worker, as its messenger sees it; notices its death, starts it anew
lives        one process: launched, told what is new, listened to until it ends
launching    a child process: spawned or forked
placement    what travels to the child: the worker, its config, its bus
child        what runs in the child: the worker, and the thread that listens to the parent
orphans      the end of a child whose parent is gone, without the GIL
reports      what the child says of errors and log records
scribe       writes log records, while supervision goes on
words        all that is said between the two
channel      the socket through which it is said
alarm        what wakes a thread that polls

    messenger                                        child
    JoinHandles - WorkerProcess ---- channel ---- Child --- RunningWorker
         `------- RunningWorker                                    |
                      `------------------- bus --------------------'

May import: staff, running, routing, journaling and what is below; not the messenger.
"""
