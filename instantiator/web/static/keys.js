// Keys a browser or a tablet keeps for itself, sent as X11 keysyms.
const KEYS = {
  "ctrl-alt-del": [[0xffe3, "ControlLeft"], [0xffe9, "AltLeft"], [0xffff, "Delete"]],
  "alt-tab": [[0xffe9, "AltLeft"], [0xff09, "Tab"]],
  "alt-f4": [[0xffe9, "AltLeft"], [0xffc1, "F4"]],
  "ctrl-c": [[0xffe3, "ControlLeft"], [0x63, "KeyC"]],
  esc: [[0xff1b, "Escape"]],
  tab: [[0xff09, "Tab"]],
  compose: [[0xff20, "ContextMenu"]],
  f1: [[0xffbe, "F1"]],
  f10: [[0xffc7, "F10"]],
};

export function sendKeys(rfb, name) {
  const keys = KEYS[name] ?? [];
  for (const [sym, code] of keys) rfb.sendKey(sym, code, true);
  for (const [sym, code] of [...keys].reverse()) rfb.sendKey(sym, code, false);
}

export function holdAltGr(rfb, down) {
  rfb.sendKey(0xfe03, "AltRight", down);
}
