"""The window of a capsule: what opens a program's GUI in a browser with the display image alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from instantiator.capsule.script import command_options
from instantiator.capsule.writer import CapsuleWriter
from instantiator.display.container import display_command, display_environment
from instantiator.display.image import START_SCRIPT
from instantiator.display.profile import DisplayProfile
from instantiator.image.oci import ImageName

_HERE = Path(__file__).parent / "gui"
_DISPLAY_FILES = ("start.sh", "openbox-single.xml", "openbox-desktop.xml", "fonts.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapsuleWindow:
    """A GUI to open: its command and environment, its screen, its inputs as name and mount; and what shows it."""

    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: str
    profile: DisplayProfile
    inputs: Mapping[str, str]
    memory_mb: int
    cpus: float
    processes: int
    display: ImageName
    novnc: Path
    websockify: Path


def add_window(writer: CapsuleWriter, window: CapsuleWindow) -> None:
    """Add the folder `gui`."""
    writer.add_file("gui/gui.sh", _HERE / "gui.sh")
    writer.add_bytes("gui/window.sh", render_window(window).encode())
    for name in _DISPLAY_FILES:
        writer.add_file(f"gui/{name}", START_SCRIPT.with_name(name))
    writer.add_file("gui/relay.py", _HERE / "relay.py")
    writer.add_file("gui/websockify.whl", window.websockify)
    writer.add_file("gui/web/index.html", _HERE / "index.html")
    writer.add_file("gui/web/LICENSE.novnc.txt", window.novnc / "LICENSE.txt")
    for name in ("core", "vendor"):
        writer.add_folder(f"gui/web/{name}", window.novnc / name)


def render_window(window: CapsuleWindow) -> str:
    """`window.sh`: what gui.sh is told of this program and its screen."""
    display = window.display
    lines = [
        "# Made for gui.sh: which program, on which screen.",
        "# shellcheck shell=sh disable=SC2016,SC2034,SC2154",
    ]
    lines += [
        f"display_image={quote(display.image)}",
        f"display_name={quote(display.name)}",
        f"display_layers={quote(' '.join(display.layers))}",
        f"gui_memory_mb={window.memory_mb}",
        f"gui_cpus={window.cpus:g}",
        f"gui_processes={window.processes}",
    ]
    lines += ["in_display() {", '    "$@" \\']
    lines += [f"        {line} \\" for line in command_options(display_environment(), "/tmp")]
    lines += _end(display_command(window.profile), "display_found")
    lines += ["in_application() {", '    "$@" \\']
    for name, mount in sorted(window.inputs.items()):
        source = quote(f"inputs/{name}")
        lines.append(f'        --mount "type=bind,src=$here/"{source},dst={quote(mount)},readonly \\')
    lines += [f"        {line} \\" for line in command_options(window.environment, window.working_dir)]
    lines += _end(window.command, "image_found")
    return "\n".join((*lines, ""))


def _end(command: tuple[str, ...], image: str) -> list[str]:
    first, *rest = command
    arguments = " ".join((f'        "${image}"', *(quote(part) for part in rest)))
    return [f"        --entrypoint {quote(first)} \\", arguments, "}"]
