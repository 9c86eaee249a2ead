"""Write what describes the commands and the API, from themselves: ``tools/reference.py``.

Makes ``share/`` anew, which is laid out as ``/usr/share``: manual pages, completion for bash, zsh
and fish, and the API's OpenAPI description. With ``--check`` it only says what is out of date.
"""

import json
import sys
from pathlib import Path

from click.shell_completion import get_completion_class

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aerostat.cli.main import cli  # noqa: E402 - needs the path above
from aerostat.daemon.api.description import description  # noqa: E402
from tools import manual  # noqa: E402

SHARE = ROOT / "share"
GUIDE = ROOT / "docs" / "operators.md"
_COMPLETIONS = {
    "bash": "bash-completion/completions/aerostat",
    "zsh": "zsh/site-functions/_aerostat",
    "fish": "fish/vendor_completions.d/aerostat.fish",
}


def files() -> dict[str, str]:
    """Return the text of each file, by its path below `SHARE`."""
    pages = manual.pages(GUIDE.read_text(encoding="utf-8"))
    return {
        **{f"man/man{name[-1]}/{name}": text for name, text in pages.items()},
        **{path: _completion(shell) for shell, path in _COMPLETIONS.items()},
        "aerostat/openapi.json": json.dumps(description(), indent=2) + "\n",
    }


def _completion(shell: str) -> str:
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(cli, {}, "aerostat", "_AEROSTAT_COMPLETE").source().rstrip() + "\n"


def stale() -> list[str]:
    """Return the paths below `SHARE` that are missing, out of date, or there for nothing."""
    made = files()
    there = {
        str(path.relative_to(SHARE)): path.read_text(encoding="utf-8")
        for path in SHARE.rglob("*")
        if path.is_file()
    }
    return sorted(path for path in made.keys() | there if made.get(path) != there.get(path))


def main() -> None:
    """Write the files, or check them."""
    out_of_date = stale()
    if "--check" in sys.argv[1:]:
        sys.exit(
            "\n".join(["out of date; run: tools/reference.py", *out_of_date]) if out_of_date else 0
        )
    made = files()
    for path in out_of_date:
        file = SHARE / path
        if path not in made:
            file.unlink()
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made[path], encoding="utf-8")
    print(f"{len(made)} files, {len(out_of_date)} of them new")


if __name__ == "__main__":
    main()
