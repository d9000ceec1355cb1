#!/bin/sh
# Repeats the run this capsule holds and checks what it gives. Needs sh, tar, sha256sum, and Docker or Podman.
#   sh run.sh          check the capsule, repeat the run, compare every output
#   sh run.sh check    check the capsule's own bytes only
#   sh run.sh gui      open the program's window in a browser; a capsule has that where it was made --with-gui
# ENGINE=podman chooses the engine. Exit 0 identical, 4 different, 5 to be judged by Thaw, 2 could not be tried.
# shellcheck disable=SC2154  # job.sh, made for this run, sets what is not set here
set -u
LC_ALL=C
export LC_ALL
tab=$(printf '\t')

say() { printf '%s\n' "$*"; }

die() {
    printf '%s\n' "$*" >&2
    exit 2
}

# Every byte of the capsule is what it was when it was made.
check_capsule() {
    if bad=$(sha256sum -c SHA256SUMS 2>&1); then
        say "checked   every file of this capsule has the sha256 it was made with"
        return
    fi
    printf '%s\n' "$bad" | while IFS= read -r line; do
        case $line in *': OK') ;; *) printf '  %s\n' "$line" >&2 ;; esac
    done
    die "this capsule is damaged: nothing was run"
}

pick_engine() {
    for engine in ${ENGINE:-docker podman}; do
        if command -v "$engine" >/dev/null 2>&1 && "$engine" ps -q >/dev/null 2>&1; then
            return
        fi
    done
    die "neither docker nor podman answers here: install one, start it, or say which: ENGINE=/path/to/docker sh run.sh"
}

# find_image ID NAME LAYERS: sets `found` to what this engine calls the image, which has exactly these layers.
find_image() {
    for found in "$1" "$2"; do
        layers=$("$engine" image inspect --format '{{range .RootFS.Layers}}{{.}} {{end}}' "$found" 2>/dev/null) &&
            [ "$layers" = "$3 " ] && return 0
    done
    return 1
}

# load_image FOLDER ID NAME LAYERS
load_image() {
    find_image "$2" "$3" "$4" && return
    say "loading   $3"
    (cd "$1" && tar -cf - manifest.json oci-layout index.json blobs) | "$engine" load >/dev/null ||
        die "$engine could not load the image"
    find_image "$2" "$3" "$4" || die "$engine loaded the image, and calls it neither $2 nor $3"
}

# Who the program is. Where the engine is the user's own, root of the container is this user, without a capability.
choose_user() {
    user=$uid:$uid
    [ -n "$capabilities" ] && user=0:0
    case $("$engine" info --format '{{.SecurityOptions}}' 2>/dev/null ||
        "$engine" info --format 'rootless={{.Host.Security.Rootless}}' 2>/dev/null) in
    *name=rootless* | rootless=true) user=0:0 ;;
    *)
        if [ -z "$capabilities" ] && command -v id >/dev/null 2>&1 && [ "$(id -u)" != 0 ]; then
            user=$(id -u):$(id -g)
        fi
        ;;
    esac
}

# The folders a run needs come out of an archive, so that no other program has to make them.
new_folder() {
    number=1
    while [ -e "again-$number" ]; do number=$((number + 1)); done
    tar -xpf frame.tar "again-$number" || die "this folder cannot be written to, or holds 99 repeats: $here"
    again=$here/again-$number
}

# What this host has, and how its engine makes /tmp the program's own.
know_host() {
    cores=$("$engine" info --format '{{.NCPU}}' 2>/dev/null || "$engine" info --format '{{.Host.CPUs}}' 2>/dev/null)
    owner=,uid=${user%:*},gid=${user#*:}
    case $engine in *podman*) owner='' ;; esac
}

# bounded MEMORY_MB CPUS PROCESSES SCRATCH_MB COMMAND...: COMMAND with what every container is held to.
bounded() {
    memory=$1 cpus=$2 processes=$3 scratch=$4
    shift 4
    if [ "${cores:-0}" -gt "${cpus%.*}" ] || [ "${cores:-0}" = "$cpus" ]; then
        set -- "$@" --cpus "$cpus"
    fi
    "$@" --memory "${memory}m" --memory-swap "${memory}m" --pids-limit "$processes" \
        --cap-drop ALL --security-opt no-new-privileges --init --hostname thaw --user "$user" \
        --ulimit core=0 --ulimit nofile=1024:4096 --tmpfs "/tmp:rw,exec,nosuid,nodev,mode=1777$owner,size=${scratch}m"
}

stop_all() {
    for one in $started; do "$engine" rm -f "$one" >/dev/null 2>&1; done
}

start_clock() {
    clock=
    command -v sleep >/dev/null 2>&1 || return
    (
        left=$time_s
        while [ "$left" -gt 0 ] && sleep 1; do left=$((left - 1)); done
        "$engine" kill "$1"
    ) >/dev/null 2>&1 &
    clock=$!
}

repeat_run() {
    [ "$kind" = thread ] || die "this capsule holds a session: nobody can repeat what a person did. sh run.sh gui opens it"
    pick_engine
    load_image image "$image" "$image_name" "$image_layers"
    # shellcheck disable=SC2034  # job.sh uses it
    image_found=$found
    choose_user
    know_host
    new_folder
    started=thaw-capsule-$$
    trap 'stop_all; exit 130' INT TERM
    say "running   $run in $image_name"
    start_clock "$started"
    bounded "$memory_mb" "$cpus_limit" "$processes_limit" "$scratch_mb" in_container start_program >"$again/log" 2>&1
    status=$?
    [ -z "$clock" ] || kill "$clock" 2>/dev/null
    trap - INT TERM
    [ "$status" != 125 ] || { read -r line <"$again/log"; die "$engine could not start it: $line"; }
    compare
}

start_program() { "$engine" run --rm --name "$started" "$@"; }

# tell COUNT LINE: of many lines of one kind the first twelve.
tell() {
    if [ "$1" -le 12 ]; then say "  $2"; elif [ "$1" = 13 ]; then say "  … and more of these"; fi
}

compare() {
    same=0 different=0 unjudged=0
    while IFS=$tab read -r rule sum path; do
        if [ -h "$again/out/$path" ] || [ ! -f "$again/out/$path" ]; then
            different=$((different + 1))
            tell $different "MISSING    $path"
            continue
        fi
        # shellcheck disable=SC2046  # split on purpose: the sum, then a dash
        set -- $(sha256sum <"$again/out/$path")
        if [ "$1" = "$sum" ]; then
            same=$((same + 1))
        elif [ "$rule" = bytes ]; then
            different=$((different + 1))
            tell $different "DIFFERENT  $path"
        else
            unjudged=$((unjudged + 1))
            tell $unjudged "OTHER      $path: other bytes; whether rule $rule allows that needs Thaw to judge"
        fi
    done <outputs.txt
    if [ "$status" != "$exit_status" ]; then
        say "  the program ended with exit status $status, recorded is $exit_status; it printed: $again/log"
        different=$((different + 1))
    fi
    say "outputs   $again/out"
    if [ "$different" -gt 0 ]; then
        say "DIFFERENT: $same outputs identical, $different not, $unjudged for Thaw to judge"
        exit 4
    elif [ "$unjudged" -gt 0 ]; then
        say "NOT JUDGED: $same outputs identical, $unjudged with other bytes, which their rules may allow."
        say "Thaw judges them: thaw verify $run --outputs $again/out"
        exit 5
    fi
    say "IDENTICAL: all $same outputs are byte for byte those of run $run"
}

case $0 in */*) cd -- "${0%/*}" || exit 2 ;; esac
here=$(pwd -P)
case $here in *,* | *:*) die "engines cannot mount a folder with a comma or colon in its path: move $here" ;; esac
# shellcheck source=/dev/null
. ./job.sh
case ${1:-run} in
run)
    check_capsule
    repeat_run
    ;;
check) check_capsule ;;
gui)
    [ -f gui/gui.sh ] || die "this capsule was made without the window: thaw capsule $run --with-gui"
    check_capsule
    # shellcheck source=/dev/null
    . gui/gui.sh
    open_gui
    ;;
*) die "usage: sh run.sh [check|gui]" ;;
esac
