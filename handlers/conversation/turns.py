"""What somebody did, read from Telegram's update."""

from __future__ import annotations

from telegram import Message, MessageOriginChannel, MessageOriginUser, Update
from telegram.constants import ChatType

from handlers.conversation.base import GroupChat, Turn, WrittenAs
from texts.renderer import FALLBACK_LANGUAGE


def group_turn(update: Update) -> Turn | None:
    """Read who gave a command in which group; `None` in a private chat."""
    user, chat, message = update.effective_user, update.effective_chat, update.message
    if user is None or chat is None or message is None or chat.type == ChatType.PRIVATE:
        return None
    thread_id = message.message_thread_id if message.is_topic_message else None
    return Turn(
        user_id=user.id,
        chat_id=chat.id,
        name=_writable(user.full_name),
        language=user.language_code or FALLBACK_LANGUAGE,
        text=_writable(message.text or ""),
        group=GroupChat(
            chat_id=chat.id,
            thread_id=thread_id,
            title=_writable(chat.title or ""),
            written_as=_written_as(message),
        ),
        username=_writable(user.username),
        is_forwarded=message.forward_origin is not None,
    )


def _written_as(message: Message) -> WrittenAs:
    """Read whose name a message bears: an anonymous admin writes as the group, others may write as a channel."""
    if message.sender_chat is None:
        return "person"
    return "group" if message.sender_chat.id == message.chat.id else "channel"


def private_turn(update: Update) -> Turn | None:
    """Read who did what; `None` outside private chats."""
    user, chat, message = update.effective_user, update.effective_chat, update.message
    if user is None or chat is None or chat.type != ChatType.PRIVATE:
        return None
    tapped = update.callback_query.message if update.callback_query else None
    said = message or (tapped if isinstance(tapped, Message) else None)
    return Turn(
        user_id=user.id,
        chat_id=chat.id,
        name=_writable(user.full_name),
        language=user.language_code or FALLBACK_LANGUAGE,
        text=_writable(message.text or "") if message else "",
        menu_id=tapped.message_id if tapped else None,
        username=_writable(user.username),
        is_forwarded=said is not None and said.forward_origin is not None,
        points_at=_points_at(message) if message else None,
        forwards_post=_forwarded_post(message) if message else None,
    )


def _forwarded_post(message: Message) -> str | None:
    origin = message.forward_origin
    if not isinstance(origin, MessageOriginChannel) or not origin.chat.link:
        return None
    return f"{origin.chat.link}/{origin.message_id}"


def _points_at(message: Message) -> int | None:
    """Return whose message was forwarded, or is answered; nobody's where they hide who they are."""
    origin = message.forward_origin or (message.reply_to_message and message.reply_to_message.forward_origin)
    return origin.sender_user.id if isinstance(origin, MessageOriginUser) else None


def _writable(text: str | None) -> str:
    """Replace halves of surrogate pairs, which JSON can say but no encoding can write.

    A deleted account has no name, whatever PTB promises.
    """
    return (text or "").encode("utf-8", "replace").decode()
