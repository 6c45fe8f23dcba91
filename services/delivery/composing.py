"""What makes the messages of a kind: a composer, given in the kind's row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from msgspec import Struct

from domain.delivery.messages import Media, Message
from domain.subscribers.subscriber import Subscriber
from services.delivery.turns import QueuedMessage


class Composed(Struct, frozen=True):
    message: Message
    batch: tuple[QueuedMessage, ...]
    """What is told in it."""
    media: Media | None = None


class Composer(ABC):
    """Most kinds need no more than `compose`.

    What is awaited is tried again after a `TransientError`; whatever else is raised makes a dead letter.
    """

    async def read(self, waiting: QueuedMessage) -> str | None:
        """Read what the message is made from, beside the payload; return why it can never be made."""
        del waiting
        return None

    async def prepare(self, waiting: QueuedMessage, subscriber: Subscriber) -> None:
        """Do what takes time before the turn comes."""
        del waiting, subscriber

    def is_ready(self, waiting: QueuedMessage) -> bool:
        """Whether `prepare` has done all that is needed."""
        del waiting
        return True

    @abstractmethod
    def compose(self, together: Sequence[QueuedMessage], subscriber: Subscriber) -> Composed:
        """Compose one message of these, oldest first, at least one, at most as many as the kind merges.

        Whatever is not in its `batch` has another turn. An error gives up the first alone, or all that were together.
        """
