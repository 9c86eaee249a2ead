"""``python -m aerostat``: the same as the ``aerostat`` command."""

from aerostat.cli.main import main

if __name__ == "__main__":
    main()
