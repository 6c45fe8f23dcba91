"""What a post is about, by its words: a result, a board, a notice, a warning, or something new.

Line by line, since a call may mention what earlier calls did, and hopes are no results: "could do 5x" is not "did 5x".
Words decide about posts without an address and about first mentions; that a channel has named a token before is known
without them.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from domain.posts import abroad, phrases
from domain.posts.amounts import symbols_of, usd
from domain.posts.notices import is_notice

Topic = Literal["board", "result", "exit", "dip_notice", "warning", "news"]

MAX_LINES: Final = 150
MAX_LINE: Final = 400

_BEFORE, _AFTER = 48, 40
_HEADLINE: Final = 60
_LINES_OF_A_BOARD, _LINES_UNDER_A_HEADING = 3, 2
_LINES_OF_A_CARD: Final = 20
_GROWTH: Final = 1.3


class Said(NamedTuple):
    topic: Topic | None
    is_new: bool
    """The post says that it is a call beside whatever else it says."""
    board_at: int | None = None
    """Where the first line of a board stands."""


def topic_of(words: str, links: int, *, is_fake_named: bool = False) -> Said:
    """What the words of a post say, links left out of them; `links` is how many it has.

    Where a fake is named beside what is called, that is no warning of it.
    """
    lines = words.split("\n")[:MAX_LINES]
    lowered = [line[:MAX_LINE].lower().replace("’", "'") for line in lines]
    small = "\n".join(lowered)
    is_new = bool(phrases.NEW.search(phrases.NOT_NEW.sub("", small)))
    if (board_at := _board(lines, lowered, links)) is not None:
        return Said("board", is_new, board_at)
    warned = [phrases.FAKE.sub("", line) for line in lowered] if is_fake_named else lowered
    if any(_positive(phrases.WARNING, line) and not phrases.STILL_BUYING.search(line) for line in warned):
        return Said("warning", is_new)
    if is_notice(lowered):
        return Said("news", is_new)
    if any(_is_result(line) for line in lowered) or _is_headline(lowered) or _is_card(lowered):
        return Said("result", is_new)
    if phrases.DIP_BULLETIN.search(small) or any(_is_dip(line, is_new=is_new) for line in lowered):
        return Said("dip_notice", is_new)
    return Said("exit" if any(_is_exit(line) for line in lowered) else None, is_new)


def _positive(pattern: re.Pattern[str], small: str) -> bool:
    return any(
        not phrases.NOT_SO.search(small[max(0, found.start() - 32) : found.start()])
        for found in pattern.finditer(small)
    )


def _board(lines: list[str], lowered: list[str], links: int) -> int | None:
    """Several lines of tokens, each with what it did."""
    places: list[int] = []
    named: set[str] = set()
    at, listed, is_plan = 0, 0, False
    for line, small in zip(lines, lowered, strict=True):
        moves = phrases.MULTIPLE.search(small) or (phrases.PERCENT.search(small) and symbols_of(line))
        names = symbols_of(line)
        is_target = not names and bool(
            is_plan or phrases.TARGET.search(small) or phrases.ONLY_MULTIPLE.fullmatch(small)
        )
        is_plan = bool(phrases.TARGETS.search(small)) or (is_plan and bool(small.strip()))
        if (
            (moves and not is_target and (names or phrases.ITEM.match(small)))
            and not phrases.STATISTIC.search(small)
            and "from here" not in small
        ):
            places.append(at)
            named.update(names or [small])
        elif phrases.ITEM.match(small) and small.strip("\u20e3 ")[:1].isalnum():
            # Reasons to buy are a list, too.
            listed += -1 if phrases.FACT.search(small) else 1
        at += len(line) + 1
    if _is_report(lowered):
        return 0
    headed = any(phrases.HEADING.search(line) for line in [line for line in lowered if line.strip()][:2])
    if len(named) >= (_LINES_UNDER_A_HEADING if headed else _LINES_OF_A_BOARD):
        return places[0]
    return 0 if headed and (listed >= _LINES_OF_A_BOARD or (listed >= _LINES_UNDER_A_HEADING and links > 1)) else None


def _is_report(lowered: list[str]) -> bool:
    """How a channel has done, with its best call below."""
    head = [line for line in lowered if line.strip()][:2]
    return (
        any(phrases.REPORT.search(line) for line in head)
        and sum(bool(phrases.FIGURE.match(line)) for line in lowered) >= _LINES_OF_A_BOARD
    )


def _is_card(lowered: list[str]) -> bool:
    """Then and now, under a heading that promises it."""
    head = next((line for line in lowered if line.strip()), "")
    card = "\n".join(lowered[:_LINES_OF_A_CARD])
    return bool(phrases.UPDATED.search(head) and phrases.THEN_AND_NOW.search(card))


def _is_dip(line: str, *, is_new: bool) -> bool:
    if phrases.BUYING.search(line):
        return False
    return bool(phrases.DIP.search(line) or (not is_new and phrases.DIP_OF_A_CALL.search(line)))


def _is_exit(line: str) -> bool:
    """Whoever sold something else to buy this has not left it."""
    if phrases.SELL_CARD.search(line) or phrases.OUT_AT.search(line):
        return True
    if phrases.OTHERS.search(line) or phrases.INTO_THIS.search(line):
        return False
    return any(
        not phrases.NOT_SO.search(line[max(0, found.start() - 20) : found.start()])
        and (
            phrases.OURS.match(found.group())
            or abroad.OURS.match(found.group())
            or not phrases.SOLD_BY_OTHERS.search(line[: found.start()])
        )
        for pattern in (phrases.EXIT, abroad.EXIT_ABROAD)
        for found in pattern.finditer(line)
    )


def _is_result(line: str) -> bool:
    if phrases.STILL_BUYING.search(line) or _is_of_buyers(line):
        return False
    if any(_is_of_this(line, found) for found in phrases.AGO.finditer(line)):
        return True
    if phrases.OTHERS.search(line):
        return False
    is_boast = phrases.BOAST.search(line) and not _is_plan(line)
    if is_boast and (phrases.MULTIPLE.search(line) or phrases.PERCENT.search(line)):
        return True
    return _is_said_to_be_result(line) or _has_grown(line)


def _is_said_to_be_result(line: str) -> bool:
    for pattern in (phrases.RESULT, phrases.REACHED, phrases.TIMES, abroad.RESULT_ABROAD):
        found = pattern.search(line)
        if found and not phrases.HOPE_BEFORE.search(line[max(0, found.start() - _BEFORE) : found.start()]):
            return True
    return any(_is_done(line, found.start(), found.end()) for found in phrases.MULTIPLE.finditer(line))


def _has_grown(line: str) -> bool:
    return (
        any(_is_growth(line, found) for found in phrases.ARROW.finditer(line))
        or any(
            _is_growth(line, found, is_said=True)
            for said in (phrases.SINCE, phrases.WAS_AND_IS)
            for found in said.finditer(line)
        )
        or any(_went_abroad(line, found) for found in abroad.FROM_TO.finditer(line))
    )


def _is_of_this(line: str, found: re.Match[str]) -> bool:
    """Whether "yesterday I shared it at 20k, it is 100k now" is said, and not of another one."""
    return bool(phrases.THIS.search(found.group())) and _is_growth(line, found, is_said=True)


def _went_abroad(line: str, found: re.Match[str]) -> bool:
    """A way alone may be a range, or a hope: somebody has to say that it was gone."""
    is_gone = phrases.MULTIPLE.search(line) or abroad.WENT_FROM_TO.search(line) or phrases.CELEBRATED.search(line)
    if not is_gone or phrases.HOPE_BEFORE.search(line[max(0, found.start() - _BEFORE) : found.start()]):
        return False
    number, unit, number2, unit2 = found.group("number", "unit", "number2", "unit2")
    if number is None:
        number, unit, number2, unit2 = found.group("number3", "unit3", "number4", "unit4")
    first_usd, last_usd = usd(number, unit or unit2), usd(number2, unit2)
    return bool(unit2) and first_usd is not None and last_usd is not None and last_usd >= first_usd * _GROWTH


def _is_of_buyers(line: str) -> bool:
    """What others have earned before they bought this."""
    return bool(phrases.BUYERS.search(line)) and not phrases.OURS.search(line)


def _is_plan(line: str) -> bool:
    """Targets and stops that were not reached yet."""
    return bool(phrases.PLAN.search(line)) and not phrases.PLAN_CAME_TRUE.search(line)


def _is_done(line: str, start: int, end: int) -> bool:
    before, after = line[max(0, start - _BEFORE) : start], line[end : end + _AFTER]
    clause = re.split(r"[.!?;]\s", before)[-1]
    if phrases.SIZE_BEFORE.search(clause):
        return False
    if phrases.SURELY_DONE.match(after) and not phrases.STATISTIC.search(clause):
        return True
    if phrases.HOPE_BEFORE.search(clause) or phrases.HOPE_AFTER.match(after) or phrases.STATISTIC.search(clause):
        return False
    if phrases.DONE_BEFORE.search(clause):
        return True
    return bool(phrases.DONE_AFTER.match(after)) and not _is_name_of_this(line, start, end)


def _is_growth(line: str, found: re.Match[str], *, is_said: bool = False) -> bool:
    before = line[max(0, found.start() - _BEFORE) : found.start()]
    if (
        phrases.HOPE_LATER.search(line[found.end() :])
        or phrases.HOPE_BEFORE.search(before)
        or phrases.SIZE_BEFORE.search(before)
        or phrases.OF_PEOPLE.match(line[found.end() :])
        or re.search(r"\b(?:entry|buy|zone|range|sl|between)\W*$", before)
    ):
        return False
    # "50 -> 200k" is of thousands on both sides.
    first_usd, last_usd = usd(found["number"], found["unit"] or found["unit2"]), usd(found["number2"], found["unit2"])
    if first_usd is None or last_usd is None or not (found["unit2"] or "," in found["number2"]):
        return False
    is_arrow = phrases.WEAK_ARROW.search(found.group()) is None
    if is_arrow and not is_said and _is_dream(line, found, first_usd, last_usd):
        return False
    return last_usd >= first_usd * _GROWTH and (
        is_said or is_arrow or bool(phrases.WENT.search(before) or phrases.TOOK.match(line[found.end() :]))
    )


def _is_dream(line: str, found: re.Match[str], first_usd: float, last_usd: float) -> bool:
    """An arrow alone that ends at a round number of millions, far away."""
    rest = line[: found.start()] + line[found.end() :]
    is_alone = not any(character.isalpha() for character in rest) and not phrases.CELEBRATED.search(rest)
    return is_alone and last_usd >= phrases.FAR * first_usd and last_usd % 1e6 == 0


def _times(multiple: str) -> float:
    return float(re.sub(r"[^\d.,]", "", multiple).strip(".,").replace(",", ".") or 0)


def _is_headline(lowered: list[str]) -> bool:
    """A first line of its own with a multiple that is no hope, no target and of nothing else."""
    line = next((line for line in lowered if line.strip()), "")
    if (
        len(line) > _HEADLINE
        or phrases.ADDRESS.search(line)
        or phrases.OTHERS.search(line)
        or phrases.STILL_BUYING.search(line)
        or _is_of_buyers(line)
        or _is_plan(line)
    ):
        return False
    found = phrases.MULTIPLE.search(line)
    if found is None:
        return False
    before, after = line[: found.start()], line[found.end() :]
    hope = phrases.HOPE_BEFORE.search(line) or phrases.HOPE_LATER.search(line) or phrases.HOPE_AFTER.match(after)
    return not (
        hope
        or phrases.HEADLINE_HOPE.search(line)
        or phrases.HEADLINE_HOPE.search(before)
        or _is_announced(line, found)
        or phrases.SIZE_BEFORE.search(before)
        or phrases.OF_SOMETHING.match(after)
        or phrases.STATISTIC.search(line)
        or before.rstrip().endswith(("(", "["))
    )


def _is_announced(line: str, found: re.Match[str]) -> bool:
    """A multiple that is large enough to be a promise: "100X CALL", or nothing but it."""
    if _times(found.group()) < phrases.LARGE or phrases.CELEBRATED.search(line):
        return False
    before, after = line[: found.start()], line[found.end() :]
    is_alone = not any(character.isalpha() for character in before + after)
    return (
        is_alone
        or _times(found.group()) >= phrases.HUGE
        or bool(phrases.ANNOUNCES.search(before))
        or _is_name_of_this(line, *found.span())
    )


def _is_name_of_this(line: str, start: int, end: int) -> bool:
    """Of a call, by how far it shall go; "our 20x call" is an old one."""
    return (
        _times(line[start:end]) >= phrases.LARGE
        and phrases.ANNOUNCED.match(line[end:]) is not None
        and not re.search(r"\b(?:our|my|the|vip)\W{1,3}$", line[:start])
    )
