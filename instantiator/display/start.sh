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
openbox --sm-disable --config-file "/thaw/openbox-$windows.xml" &

# What windows there are, for whoever waits for one: a line for each, its id, class and title.
# xprop does not follow a property whose name the server has not heard of yet: the window manager tells it.
{
    until xprop -root _NET_CLIENT_LIST 2>/dev/null | grep -q 'window id'; do sleep 0.05; done
    stdbuf -oL xprop -root -spy _NET_CLIENT_LIST
} | while read -r line; do
    for id in $(printf '%s\n' "$line" | grep -o '0x[0-9a-f]*'); do
        printf '%s\t%s\n' "$id" "$(xprop -id "$id" -notype WM_CLASS WM_NAME 2>/dev/null | tr '\n' '\t')"
    done >"$shared/windows.new"
    mv "$shared/windows.new" "$shared/windows"
done &

wait "$server"
