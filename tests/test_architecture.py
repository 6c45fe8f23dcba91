"""The shape of the tree, tested like behaviour."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bot.core import TokenFilterBot
from bot.telegram_bot import TelegramBot
from handlers.conversation.base import BotBase

ROOT = Path(__file__).parent.parent
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_ROOM_FILES = 370, 45, 20
BROAD = {"Exception", "BaseException"}
DRIVERS = {"redis", "asyncpg", "aiohttp", "aiosqlite", "sqlite3", "websockets", "solana", "httpx"}
FLOORS = {
    *("composition", "bot", "web", "handlers", "services", "managers", "texts", "config", "domain"),
    *("runtime", "embedded", "sandbox"),
}
ABOVE_MANAGERS = ("services", "handlers", "bot", "web")


@cache
def sources() -> list[Path]:
    skipped = {".venv", "data", "tests"}
    return [p for p in ROOT.rglob("*.py") if not skipped & set(p.relative_to(ROOT).parts)]


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in sources()]


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[str, ast.AST]]:
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, kinds):
                yield name, node


def test_files_are_short() -> None:
    long = {p.name: n for p in sources() if (n := len(p.read_text().splitlines())) > MAX_FILE_LINES}
    assert not long


def test_functions_are_short() -> None:
    long = [
        f"{name}:{node.lineno} {node.name}"
        for name, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert not long


def rooms() -> dict[Path, list[str]]:
    """Every folder with files of its own, but for those of tests; `__init__.py` is the sign on the door."""
    found: dict[Path, list[str]] = {}
    for path in sources():
        if path.name != "__init__.py":
            found.setdefault(path.parent.relative_to(ROOT), []).append(path.name)
    return found


def test_no_room_is_a_hall() -> None:
    halls = {str(room): len(files) for room, files in rooms().items() if len(files) > MAX_ROOM_FILES}
    assert not halls


def test_no_file_stands_outside_a_room_where_the_floor_has_rooms() -> None:
    with_rooms = {room.parts[0] for room in rooms() if len(room.parts) > 1} & FLOORS - {"composition", "bot"}
    assert with_rooms >= {"domain", "handlers", "managers", "services", "sandbox"}
    outside = {floor: files for floor in with_rooms if (files := rooms().get(Path(floor)))}
    assert not outside


def is_silent(handler: ast.ExceptHandler) -> bool:
    caught = {"BaseException"} if handler.type is None else set(ast.unparse(handler.type).strip("()").split(", "))
    says_something = any(isinstance(node, ast.Raise | ast.Call) for node in ast.walk(handler))
    return bool(caught & BROAD) and not says_something


def test_no_broad_except_is_silent() -> None:
    silent = [
        f"{name}:{node.lineno}"
        for name, node in nodes(ast.ExceptHandler)
        if isinstance(node, ast.ExceptHandler) and is_silent(node)
    ]
    assert not silent


def test_no_task_is_unreferenced() -> None:
    forgotten = [
        f"{name}:{node.lineno}"
        for name, node in nodes(ast.Expr)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func).endswith(("asyncio.create_task", "ensure_future", "loop.create_task"))
    ]
    assert not forgotten


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_drivers_are_known_to_managers_only() -> None:
    leaks = [
        f"{name}: {module}"
        for name, node in nodes(ast.Import, ast.ImportFrom)
        if name.startswith(ABOVE_MANAGERS)
        for module in imported(node)
        if module.split(".")[0] in DRIVERS or module.startswith("telegram.error")
    ]
    assert not leaks


def test_nobody_imports_main() -> None:
    importers = {name for name, node in nodes(ast.Import, ast.ImportFrom) if "main" in imported(node)}
    assert not importers


def test_lua_stands_in_files_each_beside_its_only_caller() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sources()}
    assert not [str(path) for path, text in texts.items() if "redis.call(" in text]
    scripts = [path for path in ROOT.rglob("*.lua") if ".venv" not in path.parts]
    callers = {
        str(script.relative_to(ROOT)): [
            str(path) for path, text in texts.items() if path.parent == script.parent and f'"{script.name}"' in text
        ]
        for script in scripts
    }
    assert callers
    assert not {script: found for script, found in callers.items() if len(found) != 1}


def test_services_do_not_know_telegram() -> None:
    leaks = [
        f"{name}: {module}"
        for name, node in nodes(ast.Import, ast.ImportFrom)
        if name.startswith(("services", "domain"))
        for module in imported(node)
        if module.split(".")[0] == "telegram"
    ]
    assert not leaks


def test_the_environment_is_read_in_one_place() -> None:
    readers = {
        name
        for name, node in nodes(ast.Attribute)
        if ast.unparse(node) in {"os.environ", "os.getenv"} and not name.startswith("config/")
    }
    assert readers <= {"main.py"}


def test_the_composed_class_is_empty() -> None:
    own = set(vars(TelegramBot)) - {"__module__", "__doc__", "__firstlineno__", "__static_attributes__"}
    assert not own
    assert TelegramBot.__bases__[-1] is TokenFilterBot


@pytest.mark.parametrize("mixin", TelegramBot.__bases__[:-1], ids=lambda mixin: mixin.__name__)
def test_mixins_inherit_the_base_and_hold_nothing(mixin: type) -> None:
    assert mixin.__bases__ == (BotBase,)
    tree = ast.parse(inspect.getsource(mixin))
    written = [
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if ast.unparse(target).startswith("self.")
    ]
    assert not written
    assert "__init__" not in vars(mixin)


def test_the_floors_stand() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_generated_files_are_up_to_date() -> None:
    from generate import GENERATED

    stale = [str(path) for path, text in GENERATED.items() if (ROOT / path).read_text() != text()]
    assert not stale


def test_links_of_the_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]
    dead = [
        f"{document.relative_to(ROOT)}: {link}"
        for document in documents
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))
        if not link.startswith("http")
        for name, _, place in [link.partition("#")]
        for target in [document.parent / name if name else document]
        if not target.exists() or (place and target.suffix == ".md" and place not in _headings(target))
    ]
    assert not dead


@cache
def _headings(document: Path) -> frozenset[str]:
    """As GitHub names them in a link."""
    found = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in found)
