"""What the menus of `/delivery` look like."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.calls.events import Call, Channel, ChannelRecord, Token
from domain.delivery.changes import FIELDS, KINDS, RUNGS
from domain.delivery.messages import Button, Message
from domain.delivery.policy import smaller_cap, snooze_until_morning
from domain.delivery.quiet import show_minute, zone_of
from domain.subscribers.subscriber import ALL_BUTTONS, NOTHING_PASSES, Preferences, QuietHours, Subscriber
from domain.subscribers.zones import show_zone
from handlers.conversation.menus import Keyboard, View, in_rows, message
from handlers.delivery.buttons import (
    AskDelivery,
    ClearDelivery,
    DeliverPrivately,
    EndQuiet,
    SetCardButton,
    SetCardField,
    SetCompact,
    SetMilestone,
    SetMilestones,
    SetNews,
    SetSound,
    ShowCard,
    ShowDelivery,
    ShowMilestones,
    ShowMuted,
    ShowSnooze,
    ShowSounds,
    Snooze,
    TakeSetting,
)
from handlers.delivery.muting_menus import count_muted
from handlers.delivery.standing import local_moment
from services.delivery.cards import alert_card
from texts.markup import Html

_PER_ROW: Final = 2
_RUNGS_PER_ROW: Final = 4
_RUNGS_SHOWN: Final = 3
_AT: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SAMPLE: Final = Call(
    id="sample",
    token=Token(
        address="So11111111111111111111111111111111111111112",
        name="Sample",
        symbol="SMPL",
        price_usd=0.0000123,
        market_cap_usd=123_000,
        liquidity_usd=35_000,
        holders=340,
        volume_1h_usd=48_000,
        price_change_1h_percent=35,
        website="https://sample.example",
        x_handle="sample",
        created_at=_AT - timedelta(minutes=12),
        mint_revoked=True,
        freeze_revoked=True,
        top10_percent=18,
    ),
    channel=Channel(
        id="@alpha", title="Alpha Calls", record=ChannelRecord(calls=128, win_rate_percent=42, average_multiple=3.1)
    ),
    called_at=_AT,
    received_at=_AT,
    calling_channels=3,
)


def delivery_menu(
    view: View, subscriber: Subscriber, now: datetime, *, included: int | None, state: Html, note: Html | None = None
) -> Message:
    """`included`: as many alerts an hour as the plan has, `None` for any. `state`: whether alerts come now."""
    preferences = subscriber.preferences
    place = preferences.destination
    silenced = count_muted(preferences, now)
    rows: Keyboard = (
        (
            _ask(view, "zone", show_zone(preferences.time_zone)),
            _ask(view, "quiet", quiet_text(view, preferences.quiet)),
        ),
        (
            *([_ask(view, "level", level_text(view, preferences.quiet))] if preferences.quiet else []),
            _ask(view, "cap", cap_text(view, preferences, included)),
        ),
        (
            view.button("button.sounds", ShowSounds(), count=len(KINDS) - len(preferences.silent)),
            view.button("button.snooze", ShowSnooze()),
        ),
        (
            view.button("button.muted", ShowMuted(0), count=silenced),
            view.button("button.card", ShowCard()),
        ),
    )
    rows += ((view.button("button.milestones", ShowMilestones(), value=milestones_text(view, preferences)),),)
    news = "button.news_on" if preferences.news else "button.news_off"
    rows += ((view.button(news, SetNews(not preferences.news)),),)
    if place:
        rows += ((view.button("button.deliver_privately", DeliverPrivately()),),)
    where = view.html("delivery.to_group", title=place.title or str(place.chat_id)) if place else None
    return message(
        note or Html(),
        view.html("delivery.menu", now=local_time(preferences, now), zone=show_zone(preferences.time_zone)),
        state,
        _what_quiet_means(view, preferences.quiet),
        where or view.html("delivery.to_private"),
        keyboard=rows,
    )


def question(view: View, what: str, included: int | None, quiet: QuietHours | None = None) -> Message:
    """`included`: as many alerts an hour as the plan has, `None` for any. `quiet`: the quiet hours that last now."""
    back = view.button("button.back", ShowDelivery())
    key = "button.clear.cap_included" if what == "cap" and included is not None else f"button.clear.{what}"
    clear = view.button(key, ClearDelivery(what), count=included)
    rows: Keyboard = ((clear, back),)
    if quiet:
        again = show_minute(quiet.start_minute)
        rows = ((view.button("button.quiet_end", EndQuiet(), again=again),), *rows)
    return message(view.html(f"delivery.ask.{what}"), keyboard=rows)


def quiet_ended(view: View, preferences: Preferences) -> Html:
    quiet = preferences.quiet
    return view.html("delivery.quiet_ended", again=show_minute(quiet.start_minute)) if quiet else Html()


def refused(view: View, what: str, error: Html, readings: Sequence[str], now: datetime, asked: Message) -> Message:
    """Say what was understood and what would be right, or ask what was meant; the question `asked` stays open."""
    meant = tuple((_reading(view, what, reading, now),) for reading in readings)
    unchanged = view.html("delivery.choose" if readings else "delivery.unchanged")
    return message(error, unchanged, keyboard=(*meant, *asked.keyboard))


def _reading(view: View, what: str, reading: str, now: datetime) -> Button:
    """A region with what its clocks show now, or hours."""
    data = TakeSetting(what, reading)
    if what != "zone":
        return view.button("button.choice", data, name=reading)
    return view.button("button.region", data, zone=show_zone(reading), now=f"{now.astimezone(zone_of(reading)):%H:%M}")


def saved(view: View, what: str, preferences: Preferences, now: datetime, included: int | None) -> Html:
    """Say what a setting is now."""
    wanted = preferences.alerts_per_hour
    if what == "cap" and wanted is not None and included is not None and wanted > included:
        return view.html("delivery.saved.cap_beyond", wanted=wanted, count=included)
    return view.html(
        f"delivery.saved.{what}",
        zone=show_zone(preferences.time_zone),
        now=local_time(preferences, now),
        quiet=quiet_text(view, preferences.quiet),
        level=level_text(view, preferences.quiet),
        cap=cap_text(view, preferences, included),
    )


def sounds_menu(view: View, preferences: Preferences) -> Message:
    rows = tuple(
        (
            view.button(
                "button.sound_off" if kind in preferences.silent else "button.sound_on",
                SetSound(kind, kind in preferences.silent),
                kind=view.label("kind", kind),
            ),
        )
        for kind in KINDS
    )
    return message(view.html("delivery.sounds"), keyboard=(*rows, _back(view)))


def snooze_menu(view: View, preferences: Preferences, now: datetime) -> Message:
    hours = tuple(view.button(f"button.snooze.{key}", Snooze(key)) for key in ("1h", "8h"))
    morning = snooze_until_morning(preferences, now).astimezone(zone_of(preferences.time_zone))
    rows: Keyboard = (hours, (view.button("button.snooze.morning", Snooze("morning"), until=f"{morning:%a %H:%M}"),))
    if preferences.snoozed_until and preferences.snoozed_until > now:
        rows += ((view.button("button.snooze.off", Snooze("off")),),)
    return message(view.html("delivery.snooze"), _snoozed(view, preferences, now), keyboard=(*rows, _back(view)))


def card_menu(view: View, preferences: Preferences, *, sells: bool = False) -> Message:
    """The choices, under a card as it would come. `sells`: the operator offers places to buy at."""
    card = preferences.card
    preview = alert_card(
        view.texts,
        call=_SAMPLE,
        set_names=(view.plain("delivery.sample_set"),),
        speed_s=0.014,
        language=view.language,
        may_repeat=False,
        card=card,
    )
    compact = view.button("button.full" if card.compact else "button.compact", SetCompact(not card.compact))
    fields = [
        view.button(
            "button.shown" if field not in card.hidden else "button.hidden",
            SetCardField(field, field in card.hidden),
            label=view.label("field", field),
        )
        for field in FIELDS
    ]
    buttons = [
        view.button(
            "button.has_button" if button in card.buttons else "button.lacks_button",
            SetCardButton(button, button not in card.buttons),
            label=view.plain(f"button.{button}"),
        )
        for button in ALL_BUTTONS
        if sells or button != "buy"
    ]
    keyboard = ((compact,), *in_rows(fields, _PER_ROW), *in_rows(buttons, _PER_ROW), _back(view))
    return message(view.html("delivery.card"), Html(preview.html), keyboard=keyboard)


def milestones_menu(view: View, preferences: Preferences) -> Message:
    rungs = [
        view.button(
            "button.told" if preferences.wants_milestone(rung) else "button.not_told",
            SetMilestone(name, not preferences.wants_milestone(rung)),
            value=f"{name}x",
        )
        for name, rung in RUNGS.items()
    ]
    has_any = any(map(preferences.wants_milestone, RUNGS.values()))
    switch = view.button("button.milestones_off" if has_any else "button.milestones_on", SetMilestones(not has_any))
    keyboard = (*in_rows(rungs, _RUNGS_PER_ROW), (switch,), _back(view))
    return message(view.html("delivery.milestones"), keyboard=keyboard)


def milestones_text(view: View, preferences: Preferences) -> str:
    """The first ones that are told."""
    told = [f"{name}x" for name, rung in RUNGS.items() if preferences.wants_milestone(rung)]
    if not told:
        return view.plain("value.off")
    return " ".join(told[:_RUNGS_SHOWN]) + (" …" if len(told) > _RUNGS_SHOWN else "")


def quiet_text(view: View, quiet: QuietHours | None) -> str:
    if quiet is None:
        return view.plain("value.off")
    return f"{show_minute(quiet.start_minute)}-{show_minute(quiet.end_minute)}"


def level_text(view: View, quiet: QuietHours | None) -> str:
    if quiet is None or quiet.pass_score >= NOTHING_PASSES:
        return view.plain("value.no_calls")
    return view.plain("value.score", score=quiet.pass_score)


def _what_quiet_means(view: View, quiet: QuietHours | None) -> Html:
    if quiet is None:
        return Html()
    if quiet.pass_score >= NOTHING_PASSES:
        return view.html("delivery.quiet")
    return view.html("delivery.quiet_level", score=quiet.pass_score)


def cap_text(view: View, preferences: Preferences, included: int | None) -> str:
    """What they chose, or what their plan includes where that is less."""
    cap = smaller_cap(preferences.alerts_per_hour, included)
    if cap is None:
        return view.plain("value.any")
    return str(cap) if cap == preferences.alerts_per_hour else view.plain("value.as_included", count=cap)


def local_time(preferences: Preferences, at: datetime) -> str:
    return f"{at.astimezone(zone_of(preferences.time_zone)):%H:%M}"


def _snoozed(view: View, preferences: Preferences, now: datetime) -> Html:
    until = preferences.snoozed_until
    if until is None or until <= now:
        return Html()
    return view.html("delivery.snoozed", until=local_moment(preferences, until, now))


def _ask(view: View, what: str, value: str) -> Button:
    return view.button(f"button.ask.{what}", AskDelivery(what), value=value)


def _back(view: View) -> tuple[Button, ...]:
    return (view.button("button.back", ShowDelivery()),)
