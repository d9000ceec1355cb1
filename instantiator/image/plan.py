"""What the builder is told to do, as texts: the command, and the script that finishes the tree.

Decides, does nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from instantiator.image.lock import Lock, LockedDeposit, LockedSource

REPOSITORY = "/thaw/repository"
INPUTS = "/thaw/inputs"
SCRIPT = "/thaw/finish.sh"
RESULT = "/thaw/result/layer.tar"

# Files that tell when or where a tree was made, or that only speed a package manager up; none is needed to run.
_VOLATILE = (
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/.pwd.lock",
    "etc/apt/sources.list.d/0000*",
    "etc/apt/sources.list",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/apt/archives/lock",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/cache/fontconfig/*",
    "var/log/*.log",
    "var/log/apt/*",
    "tmp/*",
    "run/*",
    "dev/*",
)

# No mount, no device: the builder has no right to either. mmdebstrap's own clean-up is replaced by the list above.
_SKIPPED = "check/empty,chroot/mount,cleanup/apt,output/dev,output/mknod"


# Java's packages refuse to be configured where /proc is not mounted, which the builder has no right to do. They
# are told it is: none of their scripts reads it. Their store of certificates holds the time of its making, and is
# not made: what runs here reaches no network.
_ASKS_FOR_PROC = re.compile(r"openjdk-[0-9]+-jre-headless")
_SAYS_PROC_IS_MOUNTED = "usr/local/bin/mountpoint"


def _asks_for_proc(lock: Lock) -> bool:
    return any(_ASKS_FOR_PROC.fullmatch(package.name) for package in lock.packages)


def build_environment(lock: Lock) -> Mapping[str, str]:
    """The environment of the build: nothing of the host's gets in."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    java = {"PATH": f"/usr/local/bin:{path}", "CACERT_UPDATES": "disabled"} if _asks_for_proc(lock) else {}
    return {
        "SOURCE_DATE_EPOCH": str(lock.source_date_epoch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/root",
        "PATH": path,
        "PYTHONHASHSEED": "0",
        "DEBIAN_FRONTEND": "noninteractive",
        **java,
    }


def build_command(lock: Lock) -> tuple[str, ...]:
    """The argv run in the builder: one mmdebstrap call from the locked packages to the canonical tar."""
    include = ",".join(sorted(package.name for package in lock.packages))
    mmdebstrap = [
        "mmdebstrap",
        "--mode=root",
        "--variant=custom",
        "--format=tar",
        f"--architectures={lock.architecture}",
        f"--skip={_SKIPPED}",
        f"--include={include}",
        *_hooks(lock),
        f'--customize-hook=sh {SCRIPT} "$1"',
        lock.suite,
        RESULT,
        f"deb [trusted=yes] copy://{REPOSITORY} ./",
    ]
    return ("/bin/sh", "-c", f"umask 022 && exec {shlex.join(mmdebstrap)}")


def _hooks(lock: Lock) -> list[str]:
    if not _asks_for_proc(lock):
        return []
    file = f'"$1"/{_SAYS_PROC_IS_MOUNTED}'
    text = '#!/bin/sh\\n[ "$2" = /proc ] || exec /usr/bin/mountpoint "$@"\\n'
    return [
        f"--setup-hook=mkdir -p {file[: file.rindex('/')]} && printf '{text}' > {file} && chmod 755 {file}"
    ]


def finish_script(lock: Lock) -> str:
    """The script run on the tree (its folder is `$1`): files, sources, wheels, steps, then what is volatile goes."""
    lines = ["set -eu", 'root="$1"', "umask 022"]
    lines += _copy_files(lock)
    for part in unpacked_parts(lock):
        lines += _unpack(part)
    lines += _install_wheels(lock)
    for number, run in enumerate(lock.steps, 1):
        lines += [f"echo {shlex.quote(f'thaw: step {number} of {len(lock.steps)}')}", _in_tree(run, lock)]
    said = (_SAYS_PROC_IS_MOUNTED,) if _asks_for_proc(lock) else ()
    lines += [f'rm -rf -- "$root"/{pattern}' for pattern in (*_VOLATILE, *said)]
    return "\n".join(lines) + "\n"


def _copy_files(lock: Lock) -> list[str]:
    lines = []
    for file in lock.files:
        mode = "755" if file.executable else "644"
        target = f'"$root"/{shlex.quote(file.path)}'
        lines.append(f"install -D -m {mode} {INPUTS}/{file.sha256} {target}")
    return lines


_UNPACKERS = {
    (
        ".tar",
        ".tar.gz",
        ".tgz",
        ".tar.xz",
        ".txz",
        ".tar.bz2",
        ".tbz2",
        ".tar.zst",
    ): "tar --no-same-owner -xf {0} -C {1}",
    (".zip", ".whl", ".jar"): "unzip -q -o {0} -d {1}",
}


def _unpack(part: LockedSource | LockedDeposit) -> list[str]:
    """A source with `unpack` is put there: an archive by its members, any other file as it is."""
    if part.unpack is None or part.sha256 is None:
        return []
    target = f'"$root"/{shlex.quote(part.unpack.strip("/"))}'
    stored = f"{INPUTS}/{part.sha256}"
    for endings, form in _UNPACKERS.items():
        if part.file.lower().endswith(endings):
            return [f"mkdir -p {target}", form.format(stored, target)]
    return [f"install -D -m 644 {stored} {target}/{shlex.quote(part.file)}"]


def _install_wheels(lock: Lock) -> list[str]:
    """Wheels are installed by the pip wheel of the builder, run by the tree's own Python, then compiled repeatably.

    Unchecked-hash .pyc files hold no times (PEP 552); pip's own compilation would write them. A wheel may
    carry templates that are no valid Python: compileall says so and goes on, the others are compiled all the
    same.
    """
    if not lock.python:
        return []
    copies = [
        f'cp {INPUTS}/{wheel.sha256} "$root"/thaw-wheels/{shlex.quote(wheel.file)}' for wheel in lock.python
    ]
    hashes = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" for wheel in lock.python]
    listing = shlex.quote("\n".join(hashes))
    pip = (
        "python3 /thaw-wheels/pip.whl/pip install --quiet --no-index --no-deps --no-compile --require-hashes "
        "--no-cache-dir --root-user-action=ignore --break-system-packages --disable-pip-version-check "
        "--find-links /thaw-wheels --requirement /thaw-wheels/requirements.txt"
    )
    compile_ = "python3 -m compileall -q -j 1 --invalidation-mode unchecked-hash /usr/local/lib || true"
    return [
        'mkdir "$root"/thaw-wheels',
        *copies,
        'cp /usr/share/python-wheels/pip-*.whl "$root"/thaw-wheels/pip.whl',
        f'printf "%s\\n" {listing} > "$root"/thaw-wheels/requirements.txt',
        f'chroot "$root" {pip}',
        f"chroot \"$root\" sh -c '{compile_}'",
        'rm -rf "$root"/thaw-wheels',
    ]


def _in_tree(run: str, lock: Lock) -> str:
    settings = [f"{name}={value}" for name, value in sorted(lock.environment.items())]
    return f'chroot "$root" env {shlex.join([*settings, "sh", "-euc", run])}'


def mounted_inputs(lock: Lock) -> tuple[str, ...]:
    """The sha256 of every object the finishing script takes from the vault."""
    parts = [*lock.files, *unpacked_parts(lock), *lock.python]
    return tuple(sorted({part.sha256 for part in parts if part.sha256 is not None}))


def unpacked_parts(lock: Lock) -> tuple[LockedSource | LockedDeposit, ...]:
    """The sources and deposits that go into the image; others are data, or still waited for."""
    parts: tuple[LockedSource | LockedDeposit, ...] = (*lock.sources, *lock.deposits)
    return tuple(part for part in parts if part.unpack is not None and part.sha256 is not None)
