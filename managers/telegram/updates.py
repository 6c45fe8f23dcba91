"""How updates come in: by a webhook that is proved, or in pages, of which an unreadable one costs itself alone."""

from __future__ import annotations

import json
import re
import reprlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

import structlog
from msgspec import Struct
from telegram import Bot, Update

from domain.payments.stars import PreCheckout, StarPayment
from managers.telegram.payment_lane import PaymentLane
from managers.telegram.star_updates import read_money
from managers.telegram.update_queue import Origin, UpdateQueue
from runtime.errors import FatalError

log = structlog.get_logger(__name__)

_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
_REMEMBERED: Final = 10_000
_MAX_ID: Final = 2**63 - 1
_LOGGED_EACH_S: Final = 60.0
_MAX_LOGGED: Final = 10
_SHOWN_CHARACTERS: Final = 500
_PEOPLE_IN_A_ROW: Final = 3

_STRING_OR_SIGN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},]', re.DOTALL)
_RESULTS = re.compile(r'\s*\{(?:\s*"ok"\s*:\s*true\s*,)?\s*"result"\s*:\s*\[')
_NUMBER = re.compile(r'\s*:\s*"?([0-9]{1,19})"?\s*[,}]')


def webhook_secret(secret: str) -> str:
    """Return `secret` if it is one: without it anybody could bring forged updates, payments among them."""
    if not _WEBHOOK_SECRET.fullmatch(secret):
        raise FatalError("The webhook secret must be 1-256 characters of A-Z, a-z, 0-9, _ and -.")
    return secret


class Excess(Struct, frozen=True):
    """Handled in place of updates that were dropped, since their person had too many waiting."""

    update: Update
    """The first of them."""


class Unreadable(Struct, frozen=True):
    """An update of which no more could be read than perhaps its id."""

    text: str
    reason: str


def read_json(text: str | bytes) -> object:
    """Read JSON as Telegram and its stand-ins write it, halves of surrogate pairs included.

    `ValueError` for anything else, however deeply it is nested.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def read_page(payload: bytes) -> dict[str, Any] | None:
    """Read an answer to getUpdates; where it cannot be read as one, each update by itself. `None`: it is no answer."""
    text = payload.decode("utf-8", "replace")
    try:
        answer = read_json(text)
    except ValueError:
        parts = _parts(text)
        return None if parts is None else {"ok": True, "result": [_read(part) for part in parts]}
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else None


def is_page(payload: bytes) -> bool:
    """Tell whether it is a page of updates, readable or not."""
    page = read_page(payload)
    return page is not None and page.get("ok") is True and isinstance(page.get("result"), list)


def _read(text: str) -> object:
    try:
        return read_json(text)
    except ValueError as error:
        return Unreadable(text, str(error))


def _parts(text: str) -> list[str] | None:
    """Take a page apart by its brackets, without a stack that could be too small."""
    start = _RESULTS.match(text)
    if start is None:
        return None
    parts: list[str] = []
    depth, begins_at = 0, start.end()
    for sign, at in _signs(text, start.end()):
        if sign in {"[", "{"}:
            depth += 1
        elif depth and sign in {"]", "}"}:
            depth -= 1
        elif not depth and sign in {",", "]"}:
            part = text[begins_at:at].strip()
            parts += [part] if part else []
            begins_at = at + 1
            if sign == "]":
                return parts
    return None


def _signs(text: str, at: int = 0) -> Iterator[tuple[str, int]]:
    """Give every string, bracket and comma with its place; what stands within strings is none of them."""
    for found in _STRING_OR_SIGN.finditer(text, at):
        yield found[0], found.start()


def identified(item: object) -> int | None:
    """Return the id of an update as far as it can be made out, even where nothing else can."""
    found: object = None
    if isinstance(item, Unreadable):
        found = _id_within(item.text)
    elif isinstance(item, dict):
        found = cast("dict[str, object]", item).get("update_id")
    if isinstance(found, str) and re.fullmatch(r"[0-9]{1,19}", found):
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found if 0 <= found < _MAX_ID else None


def _id_within(text: str) -> str | None:
    depth = 0
    for sign, at in _signs(text):
        if sign == '"update_id"' and depth == 1 and (number := _NUMBER.match(text, at + len(sign))):
            return number[1]
        depth += (sign in {"[", "{"}) - (sign in {"]", "}"})
    return None


class UpdateInbox:
    """Takes updates in as they are brought: each once, and none at the cost of another.

    `handle` is given an `Update`, or an `Excess`, when its turn has come; at once a `PreCheckout`, or a `Money` until
    it is acknowledged.
    """

    def __init__(
        self,
        queue: UpdateQueue,
        handle: Callable[[object], Awaitable[None]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._handle = handle
        self._clock = clock
        self._seen: OrderedDict[int, None] = OrderedDict()
        self.payments = PaymentLane(handle)
        self._logged_at = -_LOGGED_EACH_S
        self._logged = 0
        self._unread_people: set[int] = set()
        """Those whose updates could not be read since one could."""
        self.unreadable = 0
        """Updates that were dropped since they could not be read."""

    def take(self, item: object, bot: Bot) -> bool:
        """Queue an update, or drop it: unreadable, or beyond its person's share. `False`: it was here before."""
        update_id = identified(item)
        if update_id is not None:
            if update_id in self._seen:
                return False
            self._remember(update_id)
        person = 0
        try:
            content = _content(item)
            if money := read_money(content):
                self._take_money(content["update_id"], money)
                return True
            origin = _origin(content)
            person = origin.person
            self._take(content, origin, bot)
        except Exception as error:  # noqa: BLE001 -- the library raises whatever a missing or misshapen field makes it
            self._drop(error, item, person)
        return True

    async def written(self, item: object) -> None:
        """Return when an update may be acknowledged: at once, unless it tells of money. `TransientError`: not yet."""
        update_id = identified(item)
        if update_id is not None:
            await self.payments.written(update_id)

    async def drained(self) -> None:
        """Return when everything that was taken is handled."""
        await self.payments.drained()
        await self._queue.drained()

    async def close(self) -> None:
        """Give up what is left."""
        await self.payments.close()
        await self._queue.close()

    def _take_money(self, update_id: int, money: PreCheckout | StarPayment) -> None:
        if isinstance(money, PreCheckout):
            self.payments.ask(money)
        else:
            self.payments.write(update_id, money)

    def _take(self, content: dict[str, Any], origin: Origin, bot: Bot) -> None:
        if self._queue.admits(origin):
            update = Update.de_json(content, bot)
            self._queue.put(origin, lambda: self._handle(update))
        elif self._queue.drop(origin) and origin.person == origin.chat:  # to a group it would be one more nuisance
            excess = Excess(Update.de_json(content, bot))
            self._queue.put_notice(origin, lambda: self._handle(excess))
        self._unread_people.clear()

    def _remember(self, update_id: int) -> None:
        self._seen[update_id] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    @property
    def reads_nothing(self) -> bool:
        """Whether no update could be read of late, whoever sent them: the fault is then not in one of them."""
        return len(self._unread_people) >= _PEOPLE_IN_A_ROW

    def _drop(self, error: Exception, item: object, person: int) -> None:
        """Count and log; so many a minute that a stream of them cannot fill the disk."""
        self.unreadable += 1
        if not self.reads_nothing:
            self._unread_people.add(person)
        now = self._clock()
        if now - self._logged_at >= _LOGGED_EACH_S:
            self._logged_at, self._logged = now, 0
        self._logged += 1
        if self._logged <= _MAX_LOGGED:
            shown = item.text[:_SHOWN_CHARACTERS] if isinstance(item, Unreadable) else reprlib.repr(item)
            log.warning(
                "update_unreadable",
                update_id=identified(item),
                reason=f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS],
                update=shown[:_SHOWN_CHARACTERS],
                so_far=self.unreadable,
            )


def _content(item: object) -> dict[str, Any]:
    if isinstance(item, Unreadable):
        raise ValueError(item.reason)  # noqa: TRY004 -- what it says is no JSON
    if not isinstance(item, dict):
        raise TypeError("an update is an object")
    content = cast("dict[str, Any]", item)
    if isinstance(content.get("update_id"), bool) or not isinstance(content.get("update_id"), int):
        raise TypeError("an update has a number")
    return content


def _origin(content: dict[str, Any]) -> Origin:
    """Read whose update it is: the chat's own if anonymous, and outside chats the person's."""
    chat, person = 0, 0
    for value in content.values():
        if isinstance(value, dict):
            happened = cast("dict[str, Any]", value)
            tapped = happened.get("message")
            place = cast("dict[str, Any]", tapped).get("chat") if isinstance(tapped, dict) else happened.get("chat")
            chat = chat or _id_of(place)
            person = person or _id_of(happened.get("sender_chat") or happened.get("from"))
    if not person and not chat:
        raise ValueError("an update is somebody's")
    return Origin(person or chat, chat or person)


def _id_of(whose: object) -> int:
    if whose is None:
        return 0
    number = cast("dict[str, object]", whose)["id"]
    if not isinstance(number, int):
        raise TypeError("whoever is meant has a number")
    return number
