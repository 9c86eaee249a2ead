"""Get what laboratory guests need: ``tools/lab.py [uml] [qemu] [libvirt] [newer] …``.

The programs are installed as packages (root, or sudo). The kernel and the busybox of the QEMU
guest are only downloaded and unpacked into build/lab, since a machine that runs tests has no use
for another kernel in /boot.

libvirt is installed without what would start it with the machine: the laboratory starts one of its
own. `prometheus` is no guest: it gets the programs that check contrib/.

The others are got only when they are asked for. They come from other releases of Debian, or for
another machine, and are unpacked into directories of their own, never installed:

`newer`
    a newer QEMU and newer kernels than the distribution's, and a newer user-mode Linux
`python39`
    the oldest Python that what runs in guests is written for
`s390x`
    a kernel for a big-endian guest; the QEMU that runs it is installed
"""

import os
import platform
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PARTS = ROOT / "build" / "lab"
# By distribution, the package that leads to a small kernel: by dependency on the real one.
KERNELS = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
KERNEL_FILES = ("linux-image-", "linux-modules-")


class Tree(NamedTuple):
    """Packages of some Debian, to be unpacked."""

    suites: tuple[str, ...]
    """The first is the release, the last is where packages are preferred from."""
    packages: tuple[str, ...]
    architecture: str = "amd64"


CLOUD_KERNEL = ("linux-image-cloud-amd64", "busybox-static")
# By the name of the directory in build/lab.
TREES = {
    "linux6.1": Tree(("bookworm",), CLOUD_KERNEL),
    "linux6.12": Tree(("trixie",), (*CLOUD_KERNEL, "user-mode-linux")),
    # The first Debian that has a QEMU with a generic vhost-user device, which came with QEMU 10.2.
    "newest": Tree(("trixie", "trixie-backports"), (*CLOUD_KERNEL, "qemu-system-x86")),
    "python3.9": Tree(("bullseye",), ("python3-minimal", "libpython3.9-stdlib")),
    "s390x": Tree(("bookworm",), ("linux-image-s390x", "busybox-static"), "s390x"),
}

# Programs of a newer system are run by the loader and the libraries of that system.
#
# QEMU also with its firmware, and under its own name. A module that is missing there is looked for
# in the machine's own QEMU; ``-device help``, which loads all there are, then fails. Asking for one
# device (``-device NAME,help``) works.
QEMU11 = PARTS / "qemu11"
QEMU11_SCRIPT = """\
#!/bin/bash
tree=$(dirname "$(realpath "$0")")/newest
libraries=$tree/usr/lib/x86_64-linux-gnu
export QEMU_MODULE_DIR="$libraries/qemu"
exec -a qemu-system-x86_64 \\
    "$tree/usr/lib64/ld-linux-x86-64.so.2" --library-path "$libraries" \\
    "$tree/usr/bin/qemu-system-x86_64" -L "$tree/usr/share/qemu" -L "$tree/usr/share/seabios" "$@"
"""
# User-mode Linux takes what is right behind its own image for its memory: it has to be the program
# that is run, and not its loader. So its image names its loader.
UML_SCRIPT = """\
#!/bin/bash
tree=$(dirname "$(realpath "$0")")/../..
LD_LIBRARY_PATH=$tree/usr/lib/x86_64-linux-gnu exec "$tree/usr/bin/linux.uml" "$@"
"""
LOADER = "usr/lib64/ld-linux-x86-64.so.2"


class MissingPartError(Exception):
    """Something cannot be had here; the message says what to do."""


def main(wanted: list[str]) -> int:
    """Get the `wanted` parts; return 0, or 1 where one is missing in CI."""
    missing = []
    for part in wanted:
        try:
            GET[part]()
        except (MissingPartError, subprocess.CalledProcessError, OSError) as error:
            print(f"aerostat: no {part} here: {error}", file=sys.stderr)
            missing.append(part)
    # By hand the tests that need a missing part are skipped, each saying so.
    return 1 if missing and os.environ.get("CI") == "true" else 0


def get_uml() -> None:
    """Install user-mode Linux."""
    if not shutil.which(os.environ.get("AEROSTAT_UML", "linux.uml")):
        install("for guests without QEMU", "user-mode-linux")
    if needs_compiler():
        install("for user-mode Linux on a processor with AMX", "gcc", "libc6-dev")


def needs_compiler() -> bool:
    """Return whether aerostat.testing.guests.xstate will compile something here."""
    wide = "amx_tile" in Path("/proc/cpuinfo").read_text(errors="replace").split()
    return wide and shutil.which("cc") is None


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


def get_libvirt() -> None:
    """Install libvirt's daemon for QEMU, virsh, and the binding for the distribution's Python.

    And QEMU's guest agent, which guests take with them; here it starts only where it is wanted.
    """
    install(
        "for libvirt guests",
        *("libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "python3-libvirt"),
        "qemu-guest-agent",
    )
    get_qemu()


def get_prometheus() -> None:
    """Get what checks contrib/: promtool, only unpacked, for its package starts a Prometheus."""
    if not shutil.which("systemd-analyze"):
        install("to check the service's unit", "systemd")
    tree = PARTS / "prometheus"
    if not shutil.which("promtool") and not is_complete(tree):
        unpack("prometheus", tree)
        complete(tree)


def get_newer() -> None:
    """Unpack kernels 6.1, 6.12 and the newest, user-mode Linux 6.12, and QEMU 11."""
    check_machine()
    # The machine's own part may be a 6.1 already.
    if not any(PARTS.glob("boot/vmlinuz-6.1.*")):
        get_tree("linux6.1")
    if tree := get_tree("linux6.12"):
        uml = tree / "usr/bin/linux.uml"
        set_interpreter(uml, tree / LOADER)
        write_script(uml.with_name("uml6.12"), UML_SCRIPT)
        complete(tree)
    if tree := get_tree("newest"):
        write_script(QEMU11, QEMU11_SCRIPT)
        complete(tree)
    here = PARTS.relative_to(ROOT)
    print("aerostat: tests that compare kernels find these; to run all of them on one of these:")
    print(f"aerostat:   AEROSTAT_QEMU={here}/qemu11 for QEMU 11")
    print(f"aerostat:   AEROSTAT_LAB={here}/newest for its guest's kernel")
    print(f"aerostat:   AEROSTAT_UML={here}/linux6.12/usr/bin/uml6.12 for user-mode Linux 6.12")


def get_python39() -> None:
    """Unpack Python 3.9."""
    check_machine()
    if tree := get_tree("python3.9"):
        complete(tree)


def get_s390x() -> None:
    """Install QEMU for s390x; unpack a kernel with its modules, and a busybox."""
    if not shutil.which("qemu-system-s390x"):
        install("for a big-endian guest", "qemu-system-s390x")
    if tree := get_tree("s390x"):
        complete(tree)


GET = {
    "uml": get_uml,
    "qemu": get_qemu,
    "libvirt": get_libvirt,
    "prometheus": get_prometheus,
    "newer": get_newer,
    "python39": get_python39,
    "s390x": get_s390x,
}


def get_tree(name: str) -> Path | None:
    """Unpack a tree, to be completed; None where it is complete already."""
    tree, wanted = PARTS / name, TREES[name]
    if is_complete(tree):
        return None
    mirrors = debian_mirrors()
    install("to unpack another Debian", "mmdebstrap")
    print(f"aerostat: unpacking {wanted.packages[0]} and more of {wanted.suites[-1]} to build/lab")
    shutil.rmtree(tree, ignore_errors=True)
    PARTS.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--mode=chrootless", "--variant=extract"),
            f"--architectures={wanted.architecture}",
            f'--aptopt=APT::Default-Release "{wanted.suites[-1]}"',
            f"--include={','.join(wanted.packages)}",
            *(wanted.suites[0], tree),
            *(f"deb {mirror} {suite} main" for suite in wanted.suites for mirror in mirrors),
        ],
        check=True,
    )
    # Where a kernel goes that is installed.
    for kernel in tree.glob("usr/lib/modules/*/vmlinuz"):
        (tree / "boot").mkdir(exist_ok=True)
        (tree / "boot" / f"vmlinuz-{kernel.parent.name}").hardlink_to(kernel)
    return tree


def is_complete(tree: Path) -> bool:
    """Whether all of a tree is there, and where it was made: some of it holds its own path."""
    stamp = tree / "complete"
    return stamp.exists() and stamp.read_text() == str(tree)


def complete(tree: Path) -> None:
    """Mark a tree as complete."""
    (tree / "complete").write_text(str(tree))


def set_interpreter(program: Path, loader: Path) -> None:
    """Have an ELF program name another loader than the machine's: a longer name, at its end."""
    image = bytearray(program.read_bytes())
    (first,) = struct.unpack_from("<Q", image, 32)  # e_phoff
    size, count = struct.unpack_from("<HH", image, 54)  # e_phentsize, e_phnum
    headers = range(first, first + size * count, size)
    (at,) = (at for at in headers if struct.unpack_from("<I", image, at) == (3,))  # PT_INTERP
    name = bytes(loader) + b"\0"
    struct.pack_into("<Q", image, at + 8, len(image))  # p_offset
    struct.pack_into("<Q", image, at + 32, len(name))  # p_filesz
    program.write_bytes(image + name)


def write_script(path: Path, script: str) -> None:
    """Write a script, and see that what it runs can be run."""
    path.write_text(script)
    path.chmod(0o755)
    subprocess.run([path, "--version"], check=True)


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
    sys.exit(main(sys.argv[1:] or ["uml", "qemu", "libvirt"]))
