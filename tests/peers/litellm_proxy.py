"""Handle on a real LiteLLM proxy with a database of its own in the tests' PostgreSQL."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
import yaml
from psycopg.conninfo import conninfo_to_dict

from tests.peers import litellm_home
from tests.peers.programs import free_port

# LiteLLM refuses to start with a key that is easy to guess.
MASTER_KEY = f"sk-{secrets.token_hex(16)}"
WRITTEN_WITHIN = 30.0


@dataclass
class LiteLLMProxy:
    """A proxy with the prometheus callback. `models`: entries of `model_list`. `server`: a URL of PostgreSQL.

    With `settings`, YAML to stand in its configuration word for word, it has these instead of the callback.

    Teams, keys and requests go through its own API; so do the three questions that the connector asks.
    """

    folder: Path
    server: str
    models: list[dict[str, Any]]
    settings: str = ""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        return f"litellm_{self.port}"

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._make_database()
        of_its_own = {
            "callbacks": ["prometheus"],
            "require_auth_for_metrics_endpoint": False,
            "telemetry": False,
            "num_retries": 0,
        }
        settings = {
            "model_list": self.models,
            "general_settings": {
                "master_key": MASTER_KEY,
                "proxy_batch_write_at": 1,
                "disable_spend_logs": False,
            },
            **({} if self.settings else {"litellm_settings": of_its_own}),
        }
        (self.folder / "config.yaml").write_text(f"{yaml.safe_dump(settings)}\n{self.settings}")
        where = conninfo_to_dict(self.server)
        login = ":".join(quote(str(where[name]), safe="") for name in ("user", "password") if where.get(name))
        socket = urlencode({name: where[name] for name in ("host", "port") if where.get(name)})
        environment = {
            **litellm_home.environment(),
            "DATABASE_URL": f"postgresql://{login}@localhost/{self.name}?{socket}",
            "DISABLE_SCHEMA_UPDATE": "true",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_SALT_KEY": MASTER_KEY,
            "NO_DOCS": "True",
        }
        command = ["litellm", "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [str(litellm_home.PYTHON.parent / command[0]), *command[1:], "--num_workers", "1"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=(self.folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("/health/readiness").get("db") == "connected":
                    return
            except OSError:
                pass
            time.sleep(0.3)
        log = (self.folder / "log").read_text()[-2000:]
        self.stop()
        raise RuntimeError(f"LiteLLM did not start: {log}")

    def stop(self) -> None:
        if self.process is not None:
            # Prisma's engine is its child, and in the session that it leads.
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self.process.pid, number)
                    self.process.wait(10)
                    break
                except subprocess.TimeoutExpired:
                    continue
                except ProcessLookupError:
                    break
            self.process = None
        with self._connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    # --- Its API

    def ask(self, path: str, body: Any = None, *, key: str = MASTER_KEY) -> Any:
        """The JSON of an answer; POST where there is a body. Raises urllib.error.HTTPError."""
        request = urllib.request.Request(
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def team(self, name: str) -> str:
        """Make a team and return the key of its application."""
        team = self.ask("/team/new", {"team_alias": name})["team_id"]
        return str(self.ask("/key/generate", {"team_id": team, "key_alias": f"{name}-app"})["key"])

    def viewer_key(self) -> str:
        """The key that docs/connectors/litellm.md says to make."""
        routes = ["/spend/logs/v2", "/user/daily/activity", "/v2/team/list"]
        user = f"phaseline-{secrets.token_hex(4)}"
        self.ask("/user/new", {"user_id": user, "user_role": "proxy_admin_viewer", "auto_create_key": False})
        return str(self.ask("/key/generate", {"user_id": user, "allowed_routes": routes})["key"])

    def chat(self, key: str, model: str, text: str, **more: Any) -> dict[str, Any]:
        """One chat request; the answer's usage."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
        return dict(self.ask("/v1/chat/completions", body, key=key).get("usage") or {})

    def stream(self, key: str, model: str, text: str) -> None:
        """One streamed chat request, read to its end."""
        body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": True}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()

    def logs(self, start: str, end: str, **more: str) -> list[dict[str, Any]]:
        """Rows of the spend logs, 'YYYY-MM-DD HH:MM:SS' UTC."""
        query = urlencode({"start_date": start, "end_date": end, "page_size": "1000", **more})
        return list(self.ask(f"/spend/logs/v2?{query}")["data"])

    def wait_for_logs(self, wanted: int, start: str, end: str) -> list[dict[str, Any]]:
        """The rows, once so many are there: LiteLLM writes them a moment later."""
        deadline = time.monotonic() + WRITTEN_WITHIN
        while time.monotonic() < deadline:
            rows = self.logs(start, end)
            daily = self.ask(f"/user/daily/activity?{urlencode({'start_date': start[:10], 'end_date': end[:10]})}")
            counted = sum(day["metrics"]["api_requests"] for day in daily["results"])
            if len(rows) >= wanted and counted >= wanted:
                return rows
            time.sleep(0.5)
        raise RuntimeError(f"{wanted} requests were not written within {WRITTEN_WITHIN} seconds")

    def wait_for_day(self, alias: str, requests: int) -> dict[str, Any]:
        """Today's totals of the key of this alias, once so many of its requests are in them. UTC days."""
        now = datetime.now(UTC)
        span = urlencode({"start_date": (now - timedelta(hours=1)).date(), "end_date": now.date(), "page_size": "1000"})
        deadline = time.monotonic() + WRITTEN_WITHIN
        while time.monotonic() < deadline:
            totals: Counter[str] = Counter()
            for day in self.ask(f"/user/daily/activity?{span}")["results"]:
                for key in day["breakdown"]["api_keys"].values():
                    if key["metadata"]["key_alias"] == alias:
                        totals.update(key["metrics"])
            if totals["api_requests"] >= requests:
                return dict(totals)
            time.sleep(0.5)
        raise RuntimeError(f"{requests} requests were not counted within {WRITTEN_WITHIN} seconds")

    # --- Its database

    def _connect(self, name: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.server, dbname=name, autocommit=True)

    def _make_database(self) -> None:
        with self._connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
            connection.execute(f"CREATE DATABASE {self.name}")
        migrations = litellm_home.site_packages() / "litellm_proxy_extras" / "migrations"
        with self._connect(self.name) as connection:
            for migration in sorted(migrations.glob("*/migration.sql")):
                connection.execute(migration.read_bytes())
