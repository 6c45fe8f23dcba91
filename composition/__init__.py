"""Which concrete parts the bot is made of: connections first, services on them, the bot on top. Decides nothing."""

from composition.connections import Addresses, Connections, Place, connect
from composition.parts import Composition

__all__ = ["Addresses", "Composition", "Connections", "Place", "connect"]
