#!/bin/sh
# Starts one display: sh start.sh KIND WIDTHxHEIGHT DPI KEYMAP WINDOWS. Mounted from outside, part of no image.
# It ends with its X server, and its container with it. KEYMAP is LAYOUT or LAYOUT:VARIANT.
set -u
kind=$1 geometry=$2 dpi=$3 keymap=$4 windows=$5
shared=/thaw/display
exec >>"$shared/log" 2>&1
export DISPLAY=:1 HOME=/tmp XDG_CACHE_HOME=/tmp/cache XDG_CONFIG_HOME=/tmp/config FONTCONFIG_FILE=/thaw/fonts.conf
rm -f "$shared/rfb.sock" /tmp/.X11-unix/X1 /tmp/.X1-lock

case $kind in
truecolor | fixed)
    resize=1
    [ "$kind" = fixed ] && resize=0
    Xvnc :1 -geometry "$geometry" -depth 24 -dpi "$dpi" -desktop Thaw \
        -SecurityTypes None -rfbport -1 -rfbunixpath "$shared/rfb.sock" -rfbunixmode 0660 \
        -AlwaysShared -UseBlacklist=0 -AcceptSetDesktopSize="$resize" -nolisten tcp -noreset &
    ;;
pseudocolor8)
    # Xvnc refuses 8 bits. -cc 3 makes PseudoColor the default visual, which is what old programs insist on.
    Xvfb :1 -screen 0 "${geometry}x8" -cc 3 -dpi "$dpi" -nolisten tcp -noreset &
    ;;
*)
    echo "no display profile $kind"
    exit 64
    ;;
esac
server=$!

tries=0
until [ -S /tmp/.X11-unix/X1 ] && xset q >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit $?; }
    tries=$((tries + 1))
    [ "$tries" -gt 600 ] && { echo "the X server does not answer"; exit 65; }
    sleep 0.02
done

openbox --sm-disable --config-file "/thaw/openbox-$windows.xml" &
case $keymap in
us) ;;
*:*) setxkbmap -layout "${keymap%%:*}" -variant "${keymap#*:}" ;;
*) setxkbmap -layout "$keymap" ;;
esac
xset s off -dpms b off 2>/dev/null
if [ "$kind" = pseudocolor8 ]; then
    # libvncserver makes its socket with the mode that the umask leaves.
    (umask 0117 && exec x11vnc -display :1 -8to24 -unixsock "$shared/rfb.sock" -rfbport 0 -rfbportv6 0 -no6 \
        -forever -shared -nopw -xkb -norc -quiet -nobell -noremote -speeds lan -nonap -wait 10 -defer 10) &
fi
# What windows there are, for whoever waits for one: a line for each, its id, class and title.
list_windows() {
    for id in "$@"; do
        printf '%s\t%s\n' "$id" "$(xprop -id "$id" -notype WM_CLASS WM_NAME 2>/dev/null | tr '\n' '\t')"
    done >"$shared/windows.new"
    mv "$shared/windows.new" "$shared/windows"
}

# openbox is content where a corner of a window is on the screen: bring all of it there, as small as it must be, and
# as large again as it was where there is room and nobody else has sized it since. What is maximised follows by itself.
fit_window() {
    {
        xprop -id "$1" -notype _NET_WM_STATE _NET_FRAME_EXTENTS
        xwininfo -id "$1"
        xwininfo -root
    } 2>/dev/null | awk -v id="$1" -v memory="/tmp/fitted.$1" '
        function least(a, b) { return a < b ? a : b }
        function is_near(a, b) { return a - b < 33 && b - a < 33 } # programs round to lines and columns
        /^_NET_WM_STATE/ && /MAXIMIZED_VERT|FULLSCREEN/ { stays = 1 }
        /^_NET_FRAME_EXTENTS/ && NF == 6 { gsub(",", ""); left = $3; above = $5; wide = $3 + $4; high = $5 + $6 }
        /Absolute upper-left X:/ && !windows { x = $NF }
        /Absolute upper-left Y:/ && !windows { y = $NF }
        /^  Width:/ { width[windows + 0] = $NF }
        /^  Height:/ { height[windows++] = $NF }
        END {
            if (stays || windows != 2) exit
            x -= left; y -= above
            own_w = width[0]; own_h = height[0]
            if ((getline line < memory) > 0 && split(line, was) == 4) {
                if (is_near(was[3], own_w)) own_w = was[1]
                if (is_near(was[4], own_h)) own_h = was[2]
            }
            w = least(own_w, width[1] - wide); h = least(own_h, height[1] - high)
            close(memory)
            print own_w, own_h, w, h > memory
            new_x = least(x, width[1] - w - wide); if (new_x < 0) new_x = 0
            new_y = least(y, height[1] - h - high); if (new_y < 0) new_y = 0
            if (w != width[0] || h != height[0]) print "windowsize", id, w, h
            if (new_x != x || new_y != y) print "windowmove", id, new_x, new_y
        }' | xargs -r xdotool
}

# A title may change after its window came, and so may its size: both are looked at again a little later.
# xprop does not follow a property whose name the server has not heard of yet: the window manager tells it.
{
    until xprop -root _NET_CLIENT_LIST 2>/dev/null | grep -q 'window id'; do sleep 0.05; done
    stdbuf -oL xprop -root -spy _NET_CLIENT_LIST _NET_DESKTOP_GEOMETRY
} | while read -r line; do
    printf '%s\n' "$line"
    (sleep 0.3 && echo settled && sleep 1 && echo again && sleep 3 && echo again) &
done | {
    fitted=''
    while read -r line; do
        # Asked for anew: a window that comes while xprop begins to watch is in none of its lines.
        ids=$(xprop -root _NET_CLIENT_LIST 2>/dev/null | grep -o '0x[0-9a-f]*' | tr '\n' ' ')
        case $line in _NET_DESKTOP_GEOMETRY*) fitted='' ;; esac
        list_windows $ids
        [ "${line%% *}" = settled ] || continue # not while programs start: they are waited for
        for id in $ids; do
            case " $fitted" in *" $id "*) ;; *) fit_window "$id" ;; esac
        done
        fitted=$ids
    done
} &

wait "$server"
