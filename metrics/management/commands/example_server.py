"""`manage.py example_server --port P`: the example server, on loopback."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from metrics.example_server import make_server


class Command(BaseCommand):
    """Runs until it is stopped; needs no database."""

    help = "Runs an example server that speaks vLLM's /metrics on loopback, with invented figures."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8100)

    def handle(self, *args: Any, port: int, **options: Any) -> None:
        try:
            server = make_server(port)
        except OSError as error:
            raise CommandError(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from None
        self.stdout.write(f"Example server: http://127.0.0.1:{port}/metrics")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        finally:
            server.server_close()
