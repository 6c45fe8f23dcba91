"""The buttons of `/delivery`, and of what 🔇 on a card asks."""

from __future__ import annotations

from typing import ClassVar

from domain.buttons.data import CallbackData


class ShowDelivery(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "delivery"


class AskDelivery(CallbackData, frozen=True, array_like=True):
    """Ask for what is typed: `zone`, `quiet`, `level` or `cap`."""

    prefix: ClassVar[str] = "dask"
    what: str


class ClearDelivery(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dclear"
    what: str


class TakeSetting(CallbackData, frozen=True, array_like=True):
    """Say how it was meant."""

    prefix: ClassVar[str] = "dtake"
    what: str
    reading: str


class EndQuiet(CallbackData, frozen=True, array_like=True):
    """End the quiet hours of tonight alone."""

    prefix: ClassVar[str] = "dquietend"


class ShowSounds(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dsounds"


class SetSound(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dsound"
    kind: str
    """`domain.subscribers.subscriber.MessageKind`."""
    audible: bool


class ShowSnooze(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dsnoozes"


class Snooze(CallbackData, frozen=True, array_like=True):
    """`1h`, `8h`, `morning` or `off`."""

    prefix: ClassVar[str] = "dsnooze"
    how_long: str


class ShowMuted(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dmuted"
    page: int


class UnmuteToken(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dunmute"
    address: str
    page: int


class MuteOnly(CallbackData, frozen=True, array_like=True):
    """The token, for a day."""

    prefix: ClassVar[str] = "dmute"
    address: str


class MuteChannel(CallbackData, frozen=True, array_like=True):
    """The channel that called this token, until it is unmuted."""

    prefix: ClassVar[str] = "dmutech"
    address: str


class MuteAll(CallbackData, frozen=True, array_like=True):
    """Everything, for an hour."""

    prefix: ClassVar[str] = "dmuteall"


class MuteHere(CallbackData, frozen=True, array_like=True):
    """The same three, under the alert itself."""

    prefix: ClassVar[str] = "mhere"
    what: str
    """`handlers.delivery.muting_menus.MUTABLE`."""
    address: str


class UnmuteHere(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "munhere"
    what: str
    address: str


class CloseMute(CallbackData, frozen=True, array_like=True):
    """Leave everything as it is: the alert gets its own buttons again."""

    prefix: ClassVar[str] = "mclose"
    address: str


class UnmuteChannel(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dunmutech"
    tag: str
    """`call_tag` of the channel's id."""
    page: int


class UnmuteAll(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dunmuteall"
    page: int


class ShowCard(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dcard"


class SetCompact(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dcompact"
    compact: bool


class SetCardField(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dfield"
    field: str
    """`domain.subscribers.subscriber.CardField`."""
    shown: bool


class SetCardButton(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dbutton"
    button: str
    """`domain.subscribers.subscriber.CardButton`."""
    shown: bool


class ShowMilestones(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dmiles"


class SetMilestone(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dmile"
    rung: str
    """A key of `domain.delivery.changes.RUNGS`."""
    told: bool


class SetMilestones(CallbackData, frozen=True, array_like=True):
    """The usual ones, or none."""

    prefix: ClassVar[str] = "dmall"
    told: bool


class SetNews(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dnews"
    wanted: bool


class DeliverPrivately(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "dhome"


class SetPaused(CallbackData, frozen=True, array_like=True):
    prefix: ClassVar[str] = "pause"
    paused: bool
