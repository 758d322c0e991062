"""Layer 6: the command `nanobus`. Nothing here changes a journal but `repair`.

main        arguments in, exit code out; every error is one line
options     what commands have in common: TIME|POSITION, names, --json
streams     what is printed: never a reason to fail
looking     a journal and its schema, opened for a look
wording     messages as dicts and as lines
selection   which messages are wanted
progress    a bar on a terminal
program     the messenger of a module of the user's
run         that messenger, or some of its workers
signals     SIGINT and SIGTERM meanwhile
ending      how a process ends because of them; compiled
check       what is wrong with its table
info        what a journal is
cat         its messages, and those of the end as they come
verify      whether all of it can be read
repair      cut out what cannot be read
export      into a file of JSON Lines or Parquet
parquet     the latter, where pyarrow is installed
trace       what led to a message, and what it led to

Exit codes: 0 all is well, 1 the journal is damaged, the table is wrong, or the program failed, 2 wrong usage, no
journal or one in use, 70 a mistake in here, 130 Ctrl-C, 141 nobody reads the output, 143 SIGTERM.

May import: everything but the package itself.
"""
