"""What a subscriber does with their filter sets: each change is one new document, saved by `subscribers.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from domain.filters.registry import FilterSet, Missing, Rule
from domain.payments.plans import Plans
from domain.subscribers.subscriber import Subscriber
from runtime.errors import UserFacingError
from services.subscribers.copies import CopyNames
from services.subscribers.presets import PresetsService
from services.subscribers.set_changes import (
    FIELD_KEYS,
    Standing,
    check_size,
    set_name,
    set_of,
    with_missing,
    with_rule,
    with_value,
)
from services.subscribers.subscribers import Subscribers
from services.subscribers.versions import SetVersion, SubscriberHistory


class Placed(Struct, frozen=True):
    """A set that was added, or found to be there already."""

    subscriber: Subscriber
    number: int
    is_new: bool = True

    @property
    def filter_set(self) -> FilterSet:
        return next(s for s in self.subscriber.filter_sets if s.number == self.number)


class FilterSets:
    def __init__(
        self,
        *,
        subscribers: Subscribers,
        presets: PresetsService,
        plans: Plans,
        history: SubscriberHistory,
    ) -> None:
        self._subscribers = subscribers
        self._presets = presets
        self._plans = plans
        self._history = history

    async def set_rule(self, user_id: int, number: int, field_key: str, rule: Rule | None) -> Subscriber:
        if field_key not in FIELD_KEYS:
            raise UserFacingError("filter.unknown", typed=field_key)
        check_size(rule)
        return await self._change_set(user_id, number, lambda s: with_rule(s, field_key, rule))

    async def set_missing(
        self, user_id: int, number: int, field_key: str, missing: Missing, wait_minutes: int = 0
    ) -> Subscriber:
        return await self._change_set(user_id, number, lambda s: with_missing(s, field_key, missing, wait_minutes))

    async def set_value(self, user_id: int, number: int, field_key: str, value: str, becomes: Standing) -> Subscriber:
        """Want or exclude one value of a choice, beside what is chosen."""
        return await self._change_set(user_id, number, lambda s: with_value(s, field_key, value, becomes))

    async def set_enabled(self, user_id: int, number: int, *, enabled: bool) -> Subscriber:
        """`UserFacingError("filter_sets.limit_on")` when as many are on as the plan holds."""
        return await self._change_set(
            user_id, number, lambda s: replace(s, enabled=enabled, paused_by_plan=False), insists=True
        )

    async def rename_set(self, user_id: int, number: int, name: str) -> Subscriber:
        """`UserFacingError("set.name_empty")` or `("set.name_long")` for what is no name."""
        visible = set_name(name)
        return await self._change_set(user_id, number, lambda s: replace(s, name=visible))

    async def add_set(self, user_id: int, name: str, rules: Mapping[str, Rule] | None = None) -> Placed:
        """Add a set; an empty one is off until it has a rule. The same name and rules are not added twice."""
        chosen = dict(rules or {})
        fresh = FilterSet(user_id=user_id, number=0, name=name, rules=chosen, enabled=bool(chosen))
        return await self._add(user_id, lambda _: fresh, _first(_has_same_rules if chosen else _is_as_empty))

    async def copy_set(self, user_id: int, number: int, names: CopyNames) -> Placed:
        """Duplicate one's own set; the copy follows no preset. One that is unchanged is enough, and is not copied."""

        def copied(subscriber: Subscriber) -> FilterSet:
            original = set_of(subscriber, number)
            self._check_room(subscriber)
            name = set_name(names.free(original, subscriber.filter_sets))
            return replace(original, name=name, follows=None, paused_by_plan=False)

        def unchanged(subscriber: Subscriber, _fresh: FilterSet) -> FilterSet | None:
            return names.unchanged(set_of(subscriber, number), subscriber.filter_sets)

        return await self._add(user_id, copied, unchanged)

    async def remove_set(self, user_id: int, number: int) -> Subscriber:
        def change(subscriber: Subscriber) -> Subscriber:
            set_of(subscriber, number)
            return replace(subscriber, filter_sets=tuple(s for s in subscriber.filter_sets if s.number != number))

        return await self._subscribers.change(user_id, change)

    async def apply_preset(self, user_id: int, preset_key: str, number: int | None = None) -> Placed:
        """Let a set become this preset and follow it; without a number add one, unless one follows it already."""
        preset = self._presets.find(preset_key)
        fresh = FilterSet(
            user_id=user_id, number=number or 0, name=preset.key, rules=dict(preset.rules), follows=preset.key
        )
        if number is None:
            return await self._add(user_id, lambda _: fresh, _first(lambda one, _: one.follows == preset.key))
        return Placed(await self._change_set(user_id, number, lambda _: fresh), number)

    async def versions(self, user_id: int, number: int) -> Sequence[SetVersion]:
        """Return the earlier forms of a set, the latest first."""
        return await self._history.versions(set_of(await self._subscribers.require(user_id), number))

    async def restore_version(self, user_id: int, number: int, revision: int) -> Subscriber:
        """Give a set the name and the rules that it had; whether it is on stays as it is."""
        forms = (v.filter_set for v in await self.versions(user_id, number) if v.revision == revision)
        earlier = next(forms, None)
        if earlier is None:
            raise UserFacingError("version.unknown")
        rules = {key: rule for key, rule in earlier.rules.items() if key in FIELD_KEYS}
        return await self._change_set(
            user_id, number, lambda s: replace(s, name=earlier.name, rules=rules, follows=None)
        )

    async def _change_set(
        self, user_id: int, number: int, change: Callable[[FilterSet], FilterSet], *, insists: bool = False
    ) -> Subscriber:
        """Change a set. One that comes on by it, beyond what the plan holds, has to pause; or all is refused."""

        def changed(subscriber: Subscriber) -> Subscriber:
            before = set_of(subscriber, number)
            after = change(before)
            limit = self._plans.of(subscriber.plan).filter_sets
            if after.enabled and not before.enabled and _count_on(subscriber) >= limit:
                if insists:
                    raise UserFacingError("filter_sets.limit_on", limit=limit)
                after = replace(after, enabled=False, paused_by_plan=True)
            elif after.enabled:
                after = replace(after, paused_by_plan=False)
            sets = tuple(after if s.number == number else s for s in subscriber.filter_sets)
            return replace(subscriber, filter_sets=sets)

        return await self._subscribers.change(user_id, changed)

    async def _add(
        self,
        user_id: int,
        make: Callable[[Subscriber], FilterSet],
        find_same: Callable[[Subscriber, FilterSet], FilterSet | None],
    ) -> Placed:
        """Add what `make` gives under the next number, up to the limit of the plan, unless one is the same.

        `find_same`: among those that are there, for what would be added. So a second tap adds nothing.
        """
        found: list[int] = []

        def added(subscriber: Subscriber) -> Subscriber:
            sets, fresh = subscriber.filter_sets, make(subscriber)
            same = find_same(subscriber, fresh)
            found[:] = [same.number] if same else []
            if same:
                return subscriber
            self._check_room(subscriber)
            number = max((s.number for s in sets), default=0) + 1
            return replace(subscriber, filter_sets=(*sets, replace(fresh, number=number)))

        subscriber = await self._subscribers.change(user_id, added)
        return Placed(subscriber, found[0] if found else subscriber.filter_sets[-1].number, is_new=not found)

    def _check_room(self, subscriber: Subscriber) -> None:
        limit = self._plans.of(subscriber.plan).filter_sets
        if len(subscriber.filter_sets) >= limit:
            raise UserFacingError("filter_sets.limit", limit=limit)


def _first(is_same: Callable[[FilterSet, FilterSet], bool]) -> Callable[[Subscriber, FilterSet], FilterSet | None]:
    def find(subscriber: Subscriber, fresh: FilterSet) -> FilterSet | None:
        return next((one for one in subscriber.filter_sets if is_same(one, fresh)), None)

    return find


def _has_same_rules(one: FilterSet, other: FilterSet) -> bool:
    return one.name == other.name and one.rules == other.rules


def _is_as_empty(one: FilterSet, fresh: FilterSet) -> bool:
    """Whether nobody has touched it yet."""
    return _has_same_rules(one, fresh) and one.enabled == fresh.enabled and one.follows is None


def _count_on(subscriber: Subscriber) -> int:
    return sum(one.enabled for one in subscriber.filter_sets)
