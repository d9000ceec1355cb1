"""Mount tables, and which of their lines are watched."""

from __future__ import annotations

import pytest

from instantiator.observe.mounts import (
    MountPoint,
    is_kernel_path,
    is_loader,
    is_worth_watching,
    parse_mounts,
)

TABLE = """\
611 540 0:58 / / ro,relatime master:1 - overlay overlay ro,lowerdir=/var/lib/docker/overlay2/l/A:B
612 611 0:61 / /proc rw,nosuid - proc proc rw
613 611 0:62 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
614 613 0:64 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k
620 611 254:0 /in/m31\\0401991 /data/m31\\0401991\\012raw ro,relatime - ext4 /dev/vda rw
621 611 254:0 /hosts /etc/hosts rw,relatime - ext4 /dev/vda rw
622 611 254:0 /usr/bin/docker-init /sbin/docker-init ro,relatime - ext4 /dev/vda rw
623 611 0:66 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=16384k
"""


def test_spaces_and_line_ends_in_mount_points_are_read() -> None:
    assert MountPoint(path="/data/m31 1991\nraw", kind="ext4") in parse_mounts(TABLE)


def test_the_root_the_data_and_scratch_are_watched_and_nothing_of_the_kernel_or_the_engine() -> None:
    watched = [mount.path for mount in parse_mounts(TABLE) if is_worth_watching(mount)]
    assert watched == ["/", "/dev/shm", "/data/m31 1991\nraw", "/tmp"]


def test_a_folder_that_only_begins_like_the_kernels_is_the_applications() -> None:
    assert [is_kernel_path(path) for path in ("/devel/x", "/dev/null", "/dev/shm/x")] == [False, True, False]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/lib64/ld-linux-x86-64.so.2", True),
        ("/lib/ld-linux.so.2", True),
        ("/lib/ld-2.3.6.so", True),
        ("/lib/ld-musl-x86_64.so.1", True),
        ("/usr/bin/ld", False),
        ("/opt/midas/ldcomp.so", False),
    ],
)
def test_a_dynamic_loader_is_told_by_its_name(path: str, expected: bool) -> None:
    assert is_loader(path) is expected
