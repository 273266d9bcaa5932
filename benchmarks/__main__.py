"""`bin/bench NAME [--json]`: runs benchmarks/NAME.py with what it needs."""

import runpy
import sys
from pathlib import Path


def names() -> list[str]:
    """The benchmarks that are here: modules that run as programs."""
    programs = (file for file in Path(__file__).parent.glob("*.py") if file.stem not in {"__main__", "stack"})
    return sorted(file.stem for file in programs if 'if __name__ == "__main__"' in file.read_text())


def main(argv: list[str]) -> int:
    """Becomes the named benchmark; its own arguments follow its name."""
    name = next((argument for argument in argv if not argument.startswith("-")), "")
    if name not in names():
        known = "".join(f"\n  {one}" for one in names())
        print(
            f"{f'There is no benchmark {name!r}. ' if name else ''}Usage: bin/bench NAME [--json]{known}",
            file=sys.stderr,
        )
        return 0 if not name and "--help" in argv else 2
    rest = list(argv)
    rest.remove(name)
    sys.argv = [f"bin/bench {name}", *rest]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
