"""What the market's people write: channel names, token names, posts, and the names that attackers choose."""

from __future__ import annotations

from random import Random

CHANNELS: tuple[tuple[str, str], ...] = (
    ("@alpha_wolf_calls", "Alpha Wolf Calls"),
    ("@night_desk", "The Night Desk"),
    ("@curve_riders", "Curve Riders"),
    ("@first_block_club", "First Block Club"),
    ("@quiet_accumulator", "Quiet Accumulator"),
    ("@gem_cartographer", "Gem Cartographer 🗺"),
    ("@moonshot_ledger", "Moonshot Ledger"),
    ("@degen_greenhouse", "Degen Greenhouse 🌱"),
    ("@sol_snipers_hq", "SOL Snipers HQ"),
    ("@ape_academy_calls", "Ape Academy"),
    ("@whale_echo", "Whale Echo 🐋"),
    ("@lowcap_lounge", "Lowcap Lounge"),
    ("@the_10x_diary", "The 10x Diary"),
    ("@insider_corner", "<i>Insider</i> Corner & Friends"),
    ("@rug_radar_calls", "Rug Radar"),
    ("@pump_weather", "Pump Weather ⛈"),
    ("@candle_church", "Candle Church 🕯"),
    ("@midas_touch_calls", "Midas Touch"),
    ("@early_bird_sol", "Early Bird SOL"),
    ("@chart_goblin", "Chart Goblin"),
    ("@liquidity_hunters", "Liquidity Hunters"),
    ("@bonding_curve_bros", "Bonding Curve Bros"),
    ("@diamond_paws", "Diamond Paws 💎🐾"),
    ("@trench_report", "Trench Report"),
    ("@caller_number_nine", "Caller № 9"),
    ("@lucky_seven_calls", "Lucky Seven"),
    ("@paid_promo_plaza", "Paid Promo Plaza"),
    ("@everything_moons", "EVERYTHING MOONS 🚀🚀🚀"),
)

_FIRST = (  # noqa: SIM905 - words read best as words
    "Smooth Baby Grumpy Turbo Quantum Sleepy Based Cosmic Tiny Angry Wise Lucky Neon Golden Rusty Electric "
    "Velvet Frozen Midnight Hyper Salty Broke Royal Wild Fancy Lazy Chubby Silent Crispy Holy"
).split()
_SECOND = (  # noqa: SIM905 - likewise
    "Otter Doge Pepe Capybara Goblin Toaster Frog Panda Hamster Wizard Penguin Raccoon Taco Llama Goose "
    "Shiba Monk Pickle Ferret Yeti Moth Croissant Gecko Walrus Badger Noodle Duck Possum Kraken Cactus"
).split()
_THIRD = ("Inu", "Coin", "AI", "DAO", "on Solana", "Classic", "2.0", "Strategy", "Cult", "Agent")

HOSTILE_NAMES: tuple[str, ...] = (
    "<b>Bold</b><script>alert(1)</script>",
    "</code><a href='https://claim.invalid'>Claim</a>",
    "&lt;safe&gt; & <unsafe",
    "\u202egnp.elbatpecca\u202c",
    "\u2066\u2067Mirror\u2069\u2069 \u061c\u200f",
    "Line\nBreak\r\n\tTab\u2028Separator",
    "@everyone @admin join @free_sol_now",
    "https://claim.invalid/airdrop?wallet=yours",
    "t.me/joinchat/NotYourFriend",
    "_*[]()~`>#+-=|{}.!\\",
    "A" * 600,
    "🚀" * 150,
    "Z\u0351\u036b\u0343a\u0352\u035bl\u0357\u030eg\u0364\u0313o\u0350\u036c",
    "NUL\u0000Byte\u0007Bell\u001b[31m",
    "Zero\u200bWidth\u200d\ufeff",
    "'; DROP TABLE calls; --",
    "{{7*7}} ${7*7} %s %n {0}",
    "",
    "   ",
)

_POSTS = (
    "${symbol} just went live, early entry\n{mint}",
    "Adding {name} here. Dev looks active, chart is clean.\n\nCA: {mint}",
    "🚀🚀 {symbol} 🚀🚀\nSend it\n{mint}",
    "Small bag in {name} ({symbol}), do your own research\n{mint}\nhttps://pump.fun/coin/{mint}",
    "Smart wallets are buying {symbol} <b>right now</b>\n{mint}",
    "{mint}",
)
_REPOSTS = (
    "As seen elsewhere, but ${symbol} still looks early\n{mint}",
    "{name} keeps going, second entry\n{mint}",
    "Everybody talks about {symbol} 👀\n{mint}",
)

_HOSTILE_SHARE = 0.03
_NAMELESS_SHARE = 0.01
_SILENT_SHARE = 0.2
_THREE_WORDS_SHARE = 0.35


def token_name(random: Random) -> tuple[str | None, str | None]:
    """Name and ticker; now and then a hostile one, or none."""
    chance = random.random()
    if chance < _HOSTILE_SHARE:
        name = random.choice(HOSTILE_NAMES)
        return name, random.choice((name, "HACK", None))
    if chance < _HOSTILE_SHARE + _NAMELESS_SHARE:
        return None, None
    words = [random.choice(_FIRST), random.choice(_SECOND)]
    if random.random() < _THREE_WORDS_SHARE:
        words.append(random.choice(_THIRD))
    initials = "".join(word[0] for word in words)
    ticker = random.choice((words[1], words[0], initials, words[1] + "IFY"))
    return " ".join(words), ticker.upper()


def post(random: Random, *, name: str | None, symbol: str | None, mint: str, is_repost: bool) -> str | None:
    if random.random() < _SILENT_SHARE:
        return None
    template = random.choice(_REPOSTS if is_repost else _POSTS)
    return template.format(name=name or "this one", symbol=symbol or "it", mint=mint)
