"""Get what laboratory guests need from the distribution: ``tools/lab.py [uml] [qemu] [qemu11]``.

The programs are installed as packages (root, or sudo). The kernel and the busybox of the QEMU
guest are only downloaded and unpacked into build/lab, since a machine that runs tests has no use
for another kernel in /boot.

`qemu11`, got only when it is asked for, is a newer QEMU and a newer guest kernel than those of the
distribution: from a newer Debian's backports, unpacked into build/lab and never installed.
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

# The first Debian that has a QEMU with a generic vhost-user device, which came with QEMU 10.2.
NEWER = "trixie"
NEWER_TREE = PARTS / "trixie"
NEWER_PACKAGES = ("qemu-system-x86", "linux-image-cloud-amd64", "busybox-static")
QEMU11 = PARTS / "qemu11"
# Run by the loader and the libraries of its own system, with its firmware, and under its own name.
# A module that is missing there is looked for in the machine's own QEMU; ``-device help``, which
# loads all there are, then fails. Asking for one device (``-device NAME,help``) works.
QEMU11_SCRIPT = """\
#!/bin/bash
tree=$(dirname "$(realpath "$0")")/trixie
libraries=$tree/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$libraries/qemu"
exec -a qemu-system-x86_64 \\
    "$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" \\
    "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
"""


class MissingPartError(Exception):
    """Something cannot be had here; the message says what to do."""


def main(wanted: list[str]) -> int:
    """Get the `wanted` parts; return 0, or 1 where one is missing in CI."""
    missing = []
    for part in wanted:
        try:
            {"uml": get_uml, "qemu": get_qemu, "qemu11": get_qemu11}[part]()
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
    # The kernel is looked for in boot: there must be one. What else is there is another part's.
    shutil.rmtree(PARTS / "boot", ignore_errors=True)
    PARTS.mkdir(parents=True, exist_ok=True)
    for package in [*kernel_packages(), "busybox-static"]:
        unpack(package, PARTS)
    (PARTS / "complete").touch()


def get_qemu11() -> None:
    """Unpack QEMU 11, a new guest kernel and a busybox; leave a script that runs this QEMU."""
    if (NEWER_TREE / "complete").exists():
        return
    check_machine()
    mirrors = debian_mirrors()
    install("to unpack a newer Debian", "mmdebstrap")
    print(f"aerostat: unpacking QEMU and a kernel of Debian {NEWER} to build/lab (250 MB)")
    shutil.rmtree(NEWER_TREE, ignore_errors=True)
    PARTS.mkdir(parents=True, exist_ok=True)
    suites = (NEWER, f"{NEWER}-backports")
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--mode=chrootless", "--variant=extract"),
            "--architectures=amd64",
            f'--aptopt=APT::Default-Release "{suites[-1]}"',
            f"--include={','.join(NEWER_PACKAGES)}",
            *(NEWER, NEWER_TREE),
            *(f"deb {mirror} {suite} main" for suite in suites for mirror in mirrors),
        ],
        check=True,
    )
    # Where a kernel goes that is installed.
    (NEWER_TREE / "boot").mkdir()
    for kernel in NEWER_TREE.glob("usr/lib/modules/*/vmlinuz"):
        (NEWER_TREE / "boot" / f"vmlinuz-{kernel.parent.name}").hardlink_to(kernel)
    QEMU11.write_text(QEMU11_SCRIPT)
    QEMU11.chmod(0o755)
    subprocess.run([QEMU11, "--version"], check=True)
    (NEWER_TREE / "complete").touch()
    here = PARTS.relative_to(ROOT)
    print(f"aerostat: run the tests on it with AEROSTAT_QEMU={here}/qemu11, and with its kernel,")
    print(f"aerostat: too, with AEROSTAT_LAB={here}/{NEWER_TREE.name} as well")


def debian_mirrors() -> list[str]:
    """Return where this machine gets Debian's packages from."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    command += ["Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if not found:  # the origin is in the lists
        update_lists()
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if not found:
        raise MissingPartError("this machine's apt has no mirror of Debian")
    return sorted(set(found))


def install(reason: str, *packages: str) -> None:
    """Install packages, or raise `MissingPartError`."""
    if subprocess.run([ROOT / "tools/packages.sh", reason, *packages], check=False).returncode:
        raise MissingPartError("see above for what to install")


def kernel_packages() -> list[str]:
    """Return the packages that hold a small guest kernel and its modules."""
    check_machine()
    system = platform.freedesktop_os_release()
    for distribution in (system["ID"], *system.get("ID_LIKE", "").split()):
        if distribution in KERNELS:
            return dependencies(KERNELS[distribution])
    raise MissingPartError(f"{system['ID']} is neither Debian nor Ubuntu")


def check_machine() -> None:
    """Raise `MissingPartError` where QEMU guests are not made for this machine."""
    if platform.machine() != "x86_64":
        raise MissingPartError(f"they are made for x86-64 only, this is {platform.machine()}")


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
