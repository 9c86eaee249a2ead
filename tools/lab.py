"""Get what laboratory guests need from the distribution: ``tools/lab.py [uml] [qemu]``.

The programs are installed as packages (root, or sudo). The kernel and the busybox of the QEMU
guest are only downloaded and unpacked into build/lab, since a machine that runs tests has no use
for another kernel in /boot.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ROOT / "build" / "lab"
# By distribution, the package that leads to a small kernel: by dependency on the real one.
KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
KERNEL_FILES = ("linux-image-", "linux-modules-")


class MissingPartError(Exception):
    """Something cannot be had here; the message says what to do."""


def main(wanted: list[str]) -> int:
    """Get the `wanted` parts; return 0, or 1 where one is missing in CI."""
    missing = []
    for part in wanted:
        try:
            {"uml": get_uml, "qemu": get_qemu}[part]()
        except (MissingPartError, subprocess.CalledProcessError, OSError) as error:
            print(f"aerostat: no {part} guests here: {error}", file=sys.stderr)
            missing.append(part)
    # By hand the tests that need a missing part are skipped, each saying so.
    return 1 if missing and os.environ.get("CI") == "true" else 0


def get_uml() -> None:
    """Install user-mode Linux."""
    if not shutil.which(os.environ.get("AEROSTAT_UML", "linux.uml")):
        install("for guests without QEMU", "user-mode-linux")


def get_qemu() -> None:
    """Install QEMU; download a kernel with its modules, and a static busybox."""
    if not shutil.which("qemu-system-x86_64"):
        install("for QEMU guests", "qemu-system-x86")
    if (PARTS / "complete").exists():
        return
    print("aerostat: downloading a guest kernel and busybox to build/lab (not installing them)")
    shutil.rmtree(PARTS, ignore_errors=True)
    PARTS.mkdir(parents=True)
    for package in [*kernel_packages(), "busybox-static"]:
        unpack(package, PARTS)
    (PARTS / "complete").touch()


def install(reason: str, *packages: str) -> None:
    """Install packages, or raise `MissingPartError`."""
    if subprocess.run([ROOT / "tools/packages.sh", reason, *packages], check=False).returncode:
        raise MissingPartError("see above for what to install")


def kernel_packages() -> list[str]:
    """Return the packages that hold a small guest kernel and its modules."""
    if platform.machine() != "x86_64":
        raise MissingPartError(f"they are made for x86-64 only, this is {platform.machine()}")
    system = platform.freedesktop_os_release()
    for distribution in (system["ID"], *system.get("ID_LIKE", "").split()):
        if distribution in KERNELS:
            return dependencies(KERNELS[distribution])
    raise MissingPartError(f"{system['ID']} is neither Debian nor Ubuntu")


def dependencies(package: str) -> list[str]:
    """Return the kernel packages that `package` comes down to."""
    found: list[str] = []
    for line in apt_cache("depends", package).splitlines():
        kind, _, name = line.strip().partition(": ")
        if kind == "Depends" and name.startswith(KERNEL_FILES):
            found += [name, *dependencies(name)]
    return found


def apt_cache(*arguments: str) -> str:
    """Ask apt's lists, fetching them first if they know nothing."""
    command = ["apt-cache", *arguments]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        update_lists()
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return answer.stdout


def update_lists() -> None:
    """Fetch apt's package lists."""
    as_root = [] if os.geteuid() == 0 else ["sudo", *([] if sys.stdin.isatty() else ["-n"])]
    subprocess.run([*as_root, "apt-get", "-qq", "update"], check=True)


def unpack(package: str, directory: Path) -> None:
    """Download `package` and unpack it into `directory`, without installing it."""
    with tempfile.TemporaryDirectory() as place:
        # The user that apt downloads as by default cannot write here.
        command = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package]
        if subprocess.run(command, cwd=place, check=False).returncode:
            update_lists()
            subprocess.run(command, cwd=place, check=True)
        (archive,) = Path(place).glob("*.deb")
        subprocess.run(["dpkg-deb", "--extract", archive, directory], check=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["uml", "qemu"]))
