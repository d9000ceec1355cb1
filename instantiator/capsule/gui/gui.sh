# Opens the program's window: sourced by run.sh. Three containers: the program and its display, which have no
# network, and a relay that shows the display on a port of this machine's loopback to whoever has the password.
# shellcheck shell=sh disable=SC2154  # run.sh, job.sh and window.sh set what is not set here

# shellcheck source=/dev/null
. gui/window.sh

start_part() {
    part=thaw-capsule-$$-$1
    shift
    started="$part $started"
    "$engine" run -d --name "$part" "$@" >/dev/null || {
        stop_all
        die "$engine could not start the window"
    }
}

start_display() {
    start_part display --network none --read-only --ipc shareable \
        --mount "type=bind,src=$again/x11,dst=/tmp/.X11-unix" \
        --mount "type=bind,src=$again/display,dst=/thaw/display" \
        --mount "type=bind,src=$here/gui/start.sh,dst=/thaw/start.sh,readonly" \
        --mount "type=bind,src=$here/gui/openbox-single.xml,dst=/thaw/openbox-single.xml,readonly" \
        --mount "type=bind,src=$here/gui/openbox-desktop.xml,dst=/thaw/openbox-desktop.xml,readonly" \
        --mount "type=bind,src=$here/gui/fonts.conf,dst=/thaw/fonts.conf,readonly" "$@"
}

start_application() {
    start_part application --network none --read-only --ipc "container:thaw-capsule-$$-display" \
        --mount "type=bind,src=$again/x11,dst=/tmp/.X11-unix,readonly" \
        --mount "type=bind,src=$again/work,dst=/work" "$@"
}

start_relay() {
    start_part relay --read-only --publish 127.0.0.1::6080 --env "PASSWORD=$password" \
        --mount "type=bind,src=$again/display,dst=/thaw/display" \
        --mount "type=bind,src=$here/gui,dst=/thaw/gui,readonly" "$@"
}

in_relay() { "$@" --entrypoint python3 "$display_found" -B /thaw/gui/relay.py; }

make_password() {
    "$engine" run --rm --network none --entrypoint python3 "$display_found" \
        -c 'import secrets; print(secrets.token_urlsafe(24))'
}

# The engine's own answers take long enough to wait by.
await() {
    tries=0
    until [ -S "$1" ]; do
        "$engine" ps -q >/dev/null
        tries=$((tries + 1))
        [ "$tries" -lt 1000 ] || {
            stop_all
            die "the display does not start; it says: $again/display/log"
        }
    done
}

open_gui() {
    pick_engine
    load_image image "$image" "$image_name" "$image_layers"
    # shellcheck disable=SC2034  # window.sh uses it
    image_found=$found
    load_image display "$display_image" "$display_name" "$display_layers"
    display_found=$found
    choose_user
    know_host
    new_folder
    started=
    trap 'stop_all; exit 130' INT TERM HUP
    password=$(make_password) || die "$engine could not run the display image"
    bounded 768 2 64 256 in_display start_display
    await "$again/x11/X1"
    await "$again/display/rfb.sock"
    bounded "$gui_memory_mb" "$gui_cpus" "$gui_processes" 256 in_application start_application
    bounded 256 1 64 16 in_relay start_relay
    port=$("$engine" port "thaw-capsule-$$-relay" 6080)
    say "open      http://127.0.0.1:${port##*:}/#$password"
    say "          Ctrl-C here, or the end of the program, closes it. Its files: $again/work"
    # In the background: a shell hears of a signal only between its own commands.
    "$engine" wait "thaw-capsule-$$-application" >/dev/null &
    wait $!
    "$engine" logs "thaw-capsule-$$-application" >"$again/log" 2>&1
    stop_all
    say "closed    what the program printed: $again/log"
}
