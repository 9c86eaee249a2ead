"""Where cases are kept: what was found, and the corpus of a guided run. Touches those files."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from aerostat.testing.fuzz.target import Finding


class Store:
    """A directory for a project's fuzzing: a directory for each target in `found` and `corpus`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def keep(self, finding: Finding) -> Path:
        """Write down a finding; return the file of its case, beside which is what happened."""
        directory = self.directory / "found" / finding.target
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / hashlib.sha256(finding.identity.encode()).hexdigest()[:12]
        path.write_bytes(finding.case)
        path.with_suffix(".txt").write_text(f"{finding.identity}\n\n{finding.trace}")
        return path

    def findings(self, target: str) -> list[Finding]:
        """Return what was found in a target so far."""
        found = []
        for text in sorted((self.directory / "found" / target).glob("*.txt")):
            identity, _, trace = text.read_text().partition("\n\n")
            found.append(Finding(target, text.with_suffix("").read_bytes(), identity, trace))
        return found

    def forget(self, finding: Finding) -> None:
        """Remove a finding that has been mended."""
        for text in (self.directory / "found" / finding.target).glob("*.txt"):
            if text.read_text().startswith(f"{finding.identity}\n"):
                text.unlink()
                text.with_suffix("").unlink()

    def corpus(self, target: str) -> Path:
        """Return the directory of a target's corpus, which is made."""
        directory = self.directory / "corpus" / target
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def cases(self, target: str) -> Iterator[bytes]:
        """Yield the cases of a target's corpus, the small ones first."""
        files = [path for path in self.corpus(target).iterdir() if path.is_file()]
        for path in sorted(files, key=lambda path: (path.stat().st_size, path.name)):
            yield path.read_bytes()
