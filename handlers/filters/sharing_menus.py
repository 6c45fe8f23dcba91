"""What a shared set looks like to who shares it and to who opens it, and the earlier forms of a set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from domain.delivery.messages import Button, Message
from domain.delivery.quiet import zone_of
from domain.filters.registry import FIELDS, FilterSet
from domain.stored.snapshots import SharedSet
from domain.subscribers.zones import show_zone
from handlers.conversation.menus import View, in_rows, message
from handlers.conversation.pages import Page
from handlers.filters.buttons import CopyShared, RestoreVersion, ShowSet, ShowSettings, ShowVersion, ShowVersions
from services.subscribers.sharing import payload_of
from services.subscribers.versions import SetVersion
from texts.markup import Html
from texts.renderer import DEFAULT_LIMIT_UTF16
from texts.sanitise import inert

VERSIONS_PER_PAGE: Final = 8


def link_to(bot_username: str, shared: SharedSet) -> str:
    return f"https://t.me/{bot_username}?start={payload_of(shared.code)}"


def creator_of(view: View, shared: SharedSet) -> str:
    """Name who made a shared set; somebody whose name shows nothing is somebody."""
    return inert(shared.creator_name, DEFAULT_LIMIT_UTF16, copyable=True) or view.plain("value.somebody")


def share_menu(view: View, filter_set: FilterSet, link: str) -> Message:
    """The link, to be copied or sent on."""
    number = filter_set.number
    return message(
        view.html("share.link", name=view.set_name(filter_set), link=link),
        keyboard=(
            (
                Button(text=view.plain("button.copy_link"), copy=link),
                Button(text=view.plain("button.send_link"), url=f"https://t.me/share/url?url={quote(link, safe='')}"),
            ),
            (view.button("button.back", ShowSet(number)),),
        ),
    )


def preview(view: View, shared: SharedSet, note: Html | None = None) -> Message:
    """A shared set in words, before it is copied."""
    return message(
        note or Html(),
        view.html(
            "share.preview",
            name=view.name(shared.name) or view.plain("value.shared_set"),
            creator=creator_of(view, shared),
            on=shared.shared_at.strftime("%d %b %Y"),
        ),
        view.rules(shared.rules),
        keyboard=(
            (view.button("button.copy_shared", CopyShared(shared.code)),),
            (view.button("button.my_filters", ShowSettings()),),
        ),
    )


def versions_menu(view: View, filter_set: FilterSet, versions: Sequence[SetVersion], zone: str, asked: int) -> Message:
    """One page of earlier forms, the latest first."""
    number = filter_set.number
    page = Page.at(asked, total=len(versions), per_page=VERSIONS_PER_PAGE)
    later_forms = [filter_set, *(version.filter_set for version in versions)][: len(versions)]
    rows = in_rows(
        (
            view.button(
                "button.version",
                ShowVersion(number, version.revision),
                at=_clock(version.changed_at, zone),
                rules=_difference(view, version.filter_set, later),
            )
            for version, later in page.of(list(zip(versions, later_forms, strict=True)))
        ),
        1,
    )
    turning = page.turning(view, lambda to: ShowVersions(number, to))
    closing = (view.button("button.back", ShowSet(number)),)
    title = "versions.menu" if versions else "versions.none"
    return message(
        view.html(title, name=view.set_name(filter_set), zone=show_zone(zone)),
        keyboard=(*rows, *turning, closing),
    )


def _difference(view: View, form: FilterSet, later: FilterSet) -> str:
    """Tell an earlier form by what the next one has changed: its name, its rules, or rules that it lacks."""
    fields = [field for field in FIELDS if form.rules.get(field.key) != later.rules.get(field.key)]
    kept = {field.key: form.rules[field.key] for field in fields if field.key in form.rules}
    lacks = [view.label("filter", field.key) for field in fields if field.key not in form.rules]
    parts = [
        view.plain("value.named", name=view.set_name(form)) if form.name != later.name else "",
        view.rules_short(kept),
        view.plain("value.without", fields=", ".join(lacks)) if lacks else "",
    ]
    return ", ".join(part for part in parts if part)


def version_menu(view: View, number: int, version: SetVersion, zone: str) -> Message:
    """One earlier form in words, before it is restored."""
    return message(
        view.html("versions.one", name=view.set_name(version.filter_set), at=_moment(version.changed_at, zone)),
        view.rules(version.filter_set.rules),
        view.html("versions.restoring", name=view.set_name(version.filter_set)),
        keyboard=(
            (view.button("button.restore", RestoreVersion(number, version.revision)),),
            (view.button("button.back", ShowVersions(number, 0)),),
        ),
    )


def _moment(at: datetime, zone: str) -> str:
    return f"{_clock(at, zone)} ({show_zone(zone)})"


def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(zone_of(zone)):%d %b, %H:%M}"
