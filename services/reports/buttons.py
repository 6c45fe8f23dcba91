"""What stands below a report: pictures, cards of its calls, and where to turn it off."""

from __future__ import annotations

from domain.buttons.data import CallbackData
from domain.buttons.reports import ShareCall, ShowReportPicture, ShowReports, ShowSharedPicture
from domain.delivery.messages import Button
from domain.reports.figures import BestFigures, Figures, PersonFigures, Window
from services.reports.showing import Reader

Keyboard = tuple[tuple[Button, ...], ...]


def button(reader: Reader, key: str, data: CallbackData, /, **arguments: object) -> Button:
    return Button(text=reader.plain(key, **arguments), data=data.pack())


def picture_buttons(
    reader: Reader, figures: Figures, window: Window, what: str, *, has_picture: bool = False
) -> Keyboard:
    """`has_picture`: the report shows its own already."""
    end = int(window.end.timestamp())
    match figures:
        case PersonFigures(best=best):
            rows: Keyboard = (
                (
                    button(reader, "button.picture_spread", ShowReportPicture("spread", window.days, end)),
                    button(reader, "button.picture_equity", ShowReportPicture("equity", window.days, end)),
                ),
            )
            cards = tuple(
                (button(reader, "button.card_best", ShareCall(call.number), name=call.name),) for call in best[:1]
            )
            return rows + cards
        case BestFigures(calls=calls):
            row = tuple(
                button(reader, "button.card_of", ShareCall(call.number), place=place)
                for place, call in enumerate(calls, 1)
            )
            cards = (row,) if row else ()
        case _:
            cards = ()
    shared = ((button(reader, "button.picture_shared", ShowSharedPicture(what, window.days, end)),),)
    return cards if has_picture else shared + cards


def settings_button(reader: Reader) -> tuple[Button, ...]:
    return (button(reader, "button.reports", ShowReports()),)
