"""Running the bot in the chat: maintenance, sources, caches, channels, reports, connections. One mixin per file."""
