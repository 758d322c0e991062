"""The one table, that both programs have."""

from nanobus import JournalBus, Messenger, Worker

from handlers import Counter, Evening, Kitchen
from messages import Closing, Meal, Order

JOURNAL = "orders"          # in the current folder
EVENING = Evening(orders=50, seconds=0.02)


def messenger() -> Messenger:
    return Messenger(
        JournalBus(JOURNAL),
        workers=[
            Worker("counter", [Counter], routes={(Kitchen, Meal): [Counter]}),
            Worker(
                "kitchen", [Kitchen], routes={(Counter, Order): [Kitchen], (Counter, Closing): [Kitchen]},
                cursor="kitchen",       # where the next kitchen goes on
            ),
        ],
        config=EVENING,
    )
