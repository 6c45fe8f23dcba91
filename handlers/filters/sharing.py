"""Sharing a filter set, copying somebody else's, and going back to an earlier form of one's own."""

from __future__ import annotations

from handlers.conversation.base import BotBase, Turn
from handlers.conversation.menus import view_of
from handlers.conversation.routing import callback
from handlers.filters import sharing_menus
from handlers.filters.buttons import CopyShared, RestoreVersion, ShareSet, ShowVersion, ShowVersions
from handlers.filters.doubt_menus import without_records
from handlers.filters.showing import set_page
from runtime.errors import UserFacingError
from services.subscribers.set_changes import set_of
from texts.markup import join


class SharingMixin(BotBase):
    """Links to filter sets, and versions."""

    @callback(ShareSet)
    async def share_set(self, turn: Turn, data: ShareSet) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        filter_set = set_of(subscriber, data.number)
        shared = await self.services.subscribers.sharing.share(subscriber, filter_set)
        link = sharing_menus.link_to(self.services.conversation.bot_username(), shared)
        await self.show(turn, sharing_menus.share_menu(view_of(self.services, turn), filter_set, link))

    @callback(CopyShared)
    async def copy_shared(self, turn: Turn, data: CopyShared) -> None:
        shared = await self.services.subscribers.sharing.open(data.code)
        placed = await self.services.subscribers.sets.add_set(turn.user_id, shared.name, shared.rules)
        view = view_of(self.services, turn)
        key = "share.copied" if placed.is_new else "share.copied_before"
        copied = view.html(key, creator=sharing_menus.creator_of(view, shared))
        silent = without_records(view, placed.filter_set.rules, self.services.calls.channels.known())
        note = join("\n", filter(None, (copied, silent)))
        await self.show(turn, await set_page(self.services, turn, placed.subscriber, placed.filter_set, note))

    @callback(ShowVersions, goes_on=True)
    async def show_versions(self, turn: Turn, data: ShowVersions) -> None:
        subscriber = await self.services.subscribers.subscribers.require(turn.user_id)
        filter_set, zone = set_of(subscriber, data.number), subscriber.preferences.time_zone
        versions = await self.services.subscribers.sets.versions(turn.user_id, data.number)
        view = view_of(self.services, turn)
        await self.show(turn, sharing_menus.versions_menu(view, filter_set, versions, zone, data.page))

    @callback(ShowVersion, goes_on=True)
    async def show_version(self, turn: Turn, data: ShowVersion) -> None:
        versions = await self.services.subscribers.sets.versions(turn.user_id, data.number)
        version = next((v for v in versions if v.revision == data.revision), None)
        if version is None:
            raise UserFacingError("version.unknown")
        zone = (await self.services.subscribers.subscribers.require(turn.user_id)).preferences.time_zone
        await self.show(turn, sharing_menus.version_menu(view_of(self.services, turn), data.number, version, zone))

    @callback(RestoreVersion)
    async def restore_version(self, turn: Turn, data: RestoreVersion) -> None:
        subscriber = await self.services.subscribers.sets.restore_version(turn.user_id, data.number, data.revision)
        view, restored = view_of(self.services, turn), set_of(subscriber, data.number)
        note = view.html("versions.restored", name=view.set_name(restored))
        await self.show(turn, await set_page(self.services, turn, subscriber, restored, note))
