"""How gunicorn serves Phaseline, in `bin/up` and in the image: `gunicorn config.wsgi --config python:config.gunicorn`.

The command line and GUNICORN_CMD_ARGS come after it.
"""

import ctypes
import os
import socket
import struct
from pathlib import Path
from typing import Any

# glibc gives each thread an arena of its own, and each keeps the room of the largest bodies that it ever held; one for
# all of them is used again by whoever comes next. Other C libraries have no such thing. Set before any thread is there.
M_ARENA_MAX = -8
if hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)

# Loaded once and then forked; connections are opened on the first request, after the fork.
preload_app = True
workers = int(os.environ.get("WEB_WORKERS") or 2)
worker_class = "gthread"
threads = 8
timeout = 60
graceful_timeout = 10
accesslog = "-"
logger_class = "config.logs.GunicornLogger"
# It would lie in the home folder, one for all servers of a user.
control_socket_disable = True
if Path("/dev/shm").is_dir():  # noqa: S108  a mark of life is written every second; not to a disk that may be slow or full
    worker_tmp_dir = "/dev/shm"  # noqa: S108


def when_ready(server: Any) -> None:
    """Lets no client that fell silent keep a thread: connections take the listener's time-outs over."""
    from django.conf import settings

    silence = struct.pack("ll", settings.CLIENT_SILENCE_SECONDS, 0)
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, silence)
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, silence)
