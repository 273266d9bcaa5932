"""Runs a real llama.cpp server with a small model until its standard input closes. Prints its address when it is ready.

Usage: python -m tests.peers.llama_server PORT MODEL_FILE
"""

from __future__ import annotations

import sys

import xllamacpp


def main() -> None:
    port, model = int(sys.argv[1]), sys.argv[2]
    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.model_alias = {"gemma-3-270m"}
    settings.port = port
    settings.endpoint_metrics = True
    settings.n_ctx = 1024
    settings.n_parallel = 1
    settings.n_threads_http = 4
    settings.cpuparams.n_threads = 1
    settings.cpuparams_batch.n_threads = 1
    settings.warmup = False
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
