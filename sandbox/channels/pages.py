"""The pages of t.me: a channel's posts, and the card of a name. Their classes are those of the original."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from html import escape
from json import dumps

from sandbox.channels.markup import as_page, emoji
from sandbox.channels.posts import Origin, SandboxChannel, SandboxPost

PROXY = "<!doctype html><html><head><title>Just a moment...</title></head><body>Checking your browser</body></html>"

_HEAD = """<!DOCTYPE html>
<html class="">
<head>
<meta charset="utf-8">
<title>{title} – Telegram</title>
<meta name="viewport" content="width=device-width, initial-scale=1.0, minimum-scale=1.0, maximum-scale=1.0" />
<meta property="og:title" content="{title}">
<link rel="canonical" href="/s/{name}{query}">
</head>
<body class="widget_frame_base tgme_webpage tgme_page_bg">
<header class="tgme_header search_collapsed"><div class="tgme_container">
<a class="tgme_header_link" href="/{name}"><i class="tgme_page_photo_image bgcolor3" data-content="A"></i>
<div class="tgme_header_info"><div class="tgme_header_title_wrap"><div class="tgme_header_title">\
<span dir="auto">{shown}</span></div></div><div class="tgme_header_counter">12.4K subscribers</div></div></a>
</div></header>
<main class="tgme_main" data-url="/{name}"><div class="tgme_container">
<div class="tgme_channel_info"><div class="tgme_channel_info_header">
<div class="tgme_channel_info_header_title_wrap"><div class="tgme_channel_info_header_title">\
<span dir="auto">{shown}</span></div></div>
<div class="tgme_channel_info_header_username"><a href="https://t.me/{name}">@{name}</a></div>
</div><div class="tgme_channel_info_counters"><div class="tgme_channel_info_counter">\
<span class="counter_value">12.4K</span> <span class="counter_type">subscribers</span></div></div></div>
<section class="tgme_channel_history js-message_history">
"""
_FOOT = """</section></div></main>
<script src="//telegram.org/js/widget-frame.js?64"></script>
<script>TWeb.init();</script>
</body>
</html>
<!-- page generated in 12.27ms -->
"""
_TAIL = (
    '<i class="tgme_widget_message_bubble_tail"><svg class="bubble_icon" width="9px" height="20px" viewBox="0 0 9 20">'
    '<g fill="none"><path class="background" fill="#ffffff" d="M8,1 L9,1 L9,20 L8,20 Z"></path>'
    '<path class="border_1x" fill="#d7e3ec" d="M9,1 L2,1 L9,20 Z"></path></g></svg></i>'
)
_MEDIA = {
    "photo": (
        '<a class="tgme_widget_message_photo_wrap 5372 1235" href="https://t.me/{post}" '
        "style=\"width:800px;background-image:url('https://cdn4.telesco.pe/file/x.jpg')\">"
        '<div class="tgme_widget_message_photo" style="padding-top:56.25%"></div></a>'
    ),
    "video": (
        '<a class="tgme_widget_message_video_player js-message_video_player" href="https://t.me/{post}">'
        '<time class="message_video_duration js-message_video_duration">0:15</time></a>'
    ),
    "poll": (
        '<a class="tgme_widget_message_poll js-poll" href="https://t.me/{post}">'
        '<div class="tgme_widget_message_poll_question">Which one next?</div>'
        '<div class="tgme_widget_message_poll_type">Anonymous Poll</div></a>'
    ),
    "sticker": '<div class="tgme_widget_message_sticker_wrap media_supported_cont">'
    '<i class="tgme_widget_message_sticker js-sticker_image"></i></div>',
}
_NOT_SUPPORTED = (
    '<div class="media_not_supported_cont"><div class="message_media_not_supported_wrap">'
    '<div class="message_media_not_supported"><div class="message_media_not_supported_label">'
    'Please open Telegram to view this post</div><a href="https://t.me/{post}" '
    'class="message_media_view_in_telegram">VIEW IN TELEGRAM</a></div></div></div>'
)
_NONE = (
    '<div class="tgme_widget_message_wrap js-widget_message_wrap"><div class="tgme_widget_message_centered">'
    '<div class="tme_no_messages_found">No posts found</div></div></div>'
)
_CARD = """<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>Telegram: {kind} @{name}</title><meta property="og:title" content="{title}"></head>
<body class="no_transition"><div class="tgme_page_wrap"><div class="tgme_body_wrap"><div class="tgme_page">
{card}
<div class="tgme_page_action"><a class="tgme_action_button_new shine" href="tg://resolve?domain={name}">{action}</a>
</div></div></div></div>
</body>
</html>
<!-- page generated in 3.1ms -->
"""


def channel_page(channel: SandboxChannel, posts: list[SandboxPost], *, before: int | None) -> str:
    shown = emoji(channel.title)
    query = f"?before={before}" if before else ""
    head = _HEAD.format(title=escape(channel.title), shown=shown, name=channel.name, query=query)
    more = ""
    if posts and posts[0].number > min(channel.posts):
        first = posts[0].number
        link = f'<a href="/s/{channel.name}?before={first}" class="tme_messages_more js-messages_more"></a>'
        more = f'<div class="tgme_widget_message_centered js-messages_more_wrap">{link}</div>'
    return head + more + ("".join(_post(channel, post, shown) for post in posts) or _NONE) + _FOOT


def card_page(name: str, channel: SandboxChannel | None) -> str:
    """Whose name it is, or that somebody could be written to there if anybody has it."""
    if channel is None or channel.closed == "not_found":
        card = (
            '<div class="tgme_page_icon"><i class="tgme_icon_user"></i></div><div class="tgme_page_description">'
            "If you have <strong>Telegram</strong>, you can contact "
            f'<a class="tgme_username_link" href="tg://resolve?domain={escape(name)}">@{escape(name)}</a> '
            "right away.</div>"
        )
        return _CARD.format(kind="Contact", name=escape(name), title=escape(name), card=card, action="Send Message")
    card = (
        f'<div class="tgme_page_title" dir="auto"><span dir="auto">{emoji(channel.title)}</span></div>'
        '<div class="tgme_page_extra">12 402 subscribers</div>'
    )
    return _CARD.format(
        kind="View", name=channel.name, title=escape(channel.title), card=card, action="View in Telegram"
    )


def short(views: int) -> str:
    """A number as the page has it: "1.2K"."""
    for unit, of in (("M", 1_000_000), ("K", 1_000)):
        if views >= of:
            return f"{views / of:.3g}{unit}"
    return str(views)


def _post(channel: SandboxChannel, post: SandboxPost, title: str) -> str:
    path = f"{channel.name}/{post.number}"
    view = {"c": channel.peer, "p": post.number, "t": int(post.at.timestamp()), "h": "0" * 18}
    token = urlsafe_b64encode(dumps(view, separators=(",", ":")).encode()).decode().rstrip("=")
    kind = " service_message" if post.is_service else ""
    return (
        '<div class="tgme_widget_message_wrap js-widget_message_wrap">'
        f'<div class="tgme_widget_message text_not_supported_wrap{kind} js-widget_message" data-post="{path}" '
        f'data-view="{token}">\n<div class="tgme_widget_message_user"><a href="https://t.me/{channel.name}">'
        '<i class="tgme_widget_message_user_photo bgcolor3" data-content="A"></i></a></div>\n'
        f'<div class="tgme_widget_message_bubble">{_TAIL}\n'
        '<div class="tgme_widget_message_author accent_color"><a class="tgme_widget_message_owner_name" '
        f'href="https://t.me/{channel.name}"><span dir="auto">{title}</span></a></div>\n'
        f"{_content(channel, post, path)}\n{_footer(post, path)}</div>\n{_buttons(post, path)}</div></div>\n"
    )


def _content(channel: SandboxChannel, post: SandboxPost, path: str) -> str:
    forwarded = _forwarded(post.origin) if post.origin else ""
    reply = ""
    answered = channel.posts.get(post.reply_to) if post.reply_to else None
    if answered:
        reply = (
            f'<a class="tgme_widget_message_reply user-color-6" href="https://t.me/{channel.name}/{answered.number}">'
            f'<div class="tgme_widget_message_author accent_color"><span class="tgme_widget_message_author_name" '
            f'dir="auto">{emoji(channel.title)}</span></div>'
            '<div class="tgme_widget_message_text js-message_reply_text" dir="auto">'
            f"{as_page(answered.html)}</div></a>"
        )
    media = _MEDIA[post.media].format(post=path) if post.media else ""
    text = as_page(post.html)
    text = f'<div class="tgme_widget_message_text js-message_text" dir="auto">{text}</div>' if text else ""
    if media:
        media_and_text = f'<div class="media_supported_cont">{media}{text}</div>{_NOT_SUPPORTED.format(post=path)}'
        return forwarded + reply + media_and_text
    return forwarded + reply + text


def _forwarded(origin: Origin) -> str:
    name = f'<span dir="auto">{emoji(origin.title)}</span>'
    if origin.channel:
        link = f"https://t.me/{origin.channel}" + (f"/{origin.number}" if origin.number else "")
        name = f'<a class="tgme_widget_message_forwarded_from_name" href="{link}">{name}</a>'
    else:
        name = f'<span class="tgme_widget_message_forwarded_from_name">{name}</span>'
    return f'<div class="tgme_widget_message_forwarded_from accent_color">Forwarded from&nbsp;{name}</div>'


def _footer(post: SandboxPost, path: str) -> str:
    views = f'<span class="tgme_widget_message_views">{short(post.views)}</span><span class="copyonly"> views</span>'
    author = f'<span class="tgme_widget_message_from_author" dir="auto">{emoji(post.author or "")}</span>,&nbsp;'
    moment = post.at.isoformat(timespec="seconds")
    marks = (author if post.author else "") + ("edited &nbsp;" if post.is_edited else "")
    return (
        '<div class="tgme_widget_message_footer compact js-message_footer">'
        '<div class="tgme_widget_message_info short js-message_info">'
        f"{views if post.views else ''}"
        f'<span class="tgme_widget_message_meta">{marks}'
        f'<a class="tgme_widget_message_date" href="https://t.me/{path}">'
        f'<time datetime="{moment}" class="time">{post.at:%H:%M}</time></a></span></div></div>'
    )


def _buttons(post: SandboxPost, path: str) -> str:
    """What does something in the app leads to the post."""
    if not post.buttons:
        return ""
    asks = escape("return confirm('Open this link?\\n\\n'+this.href);")
    rows = "".join(
        '<div class="tgme_widget_message_inline_row">'
        + (
            f'<a class="tgme_widget_message_inline_button url_button" href="{escape(escape(target))}" '
            f'target="_blank" rel="noopener" onclick="{asks}">'
            if target
            else f'<a class="tgme_widget_message_inline_button callback_button" href="https://t.me/{path}">'
        )
        + f'<span class="tgme_widget_message_inline_button_text" dir="auto">{emoji(text)}</span></a></div>'
        for text, target in post.buttons
    )
    return f'<div class="tgme_widget_message_inline_keyboard">{rows}</div>'
