"""What the bot is made of: connections, on them one builder per feature, and the whole. Decides nothing.

Read `feature.py`, then the builder of the feature you want to know; `bot.py` lists them and joins what they give.
"""

from composition.addresses import Addresses, NowPaymentsAccess, SolanaAccess
from composition.bot import Composition
from composition.connections import Connections, ProcessConfig, connect
from composition.features.channels import OwnFeed

__all__ = [
    "Addresses",
    "Composition",
    "Connections",
    "NowPaymentsAccess",
    "OwnFeed",
    "ProcessConfig",
    "SolanaAccess",
    "connect",
]
