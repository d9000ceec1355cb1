// Works in a session whose program writes every byte typed to the file `typed`. Prints what it saw as JSON.
import { chromium } from "playwright-core";
import fs from "node:fs";

const [job, url, session, folder] = process.argv.slice(2);
const base = new URL(url).origin, files = `${base}/api/sessions/${session}/files`;
const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: base });
const page = await context.newPage();
const seen = { problems: [] };
page.on("pageerror", (error) => seen.problems.push(String(error)));
page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) seen.problems.push(message.text()); });
page.on("dialog", (dialog) => dialog.accept());
const until = async (test, within = 15000) => {
  for (const end = Date.now() + within; ;) {
    const found = await test();
    if (found || Date.now() > end) return found;
    await page.waitForTimeout(100);
  }
};
const connected = (where = page) => where.waitForFunction(() => document.getElementById("connection").textContent === "connected", null, { timeout: 60000 });
const typed = async () => (await context.request.get(`${files}/content?path=typed`)).text();
const comes = (text) => until(async () => (await typed()).includes(text));
const screenAt = async (x, y) => { const box = await page.locator("#screen canvas").boundingBox(); return [box.x + x, box.y + y]; };
const click = async (x, y, options) => page.mouse.click(...await screenAt(x, y), options);

await page.goto(url);
if (session) await page.goto(`${base}/sessions/${session}`);

const jobs = {
  async work() {
    await connected();
    await page.waitForTimeout(1500);
    await click(200, 200);
    await clipboard();
    await keyboard();
    await screens();
    await share();
    await end();
  },

  async look() {
    await connected();
    seen.title = await page.textContent("#watch-title");
    seen.watched = await until(() => page.locator("#screen canvas").evaluate((one) => one.width > 0));
    await click(200, 200);
    await page.keyboard.type("they must not type");
    await page.waitForTimeout(1000);
    seen.tools = await page.locator("#end, #share, #files-toggle").count();
    seen.files = (await context.request.get(files)).status();
    await page.screenshot({ path: `${folder}/look.png` });
  },

  async files() {
    await page.click("#files-toggle");
    await page.waitForSelector("#list a[download]");
    seen.names = await page.locator("#list .name").allTextContents();
    for (const name of ["field.fits", "plot.png", "notes.txt"]) {
      await page.click(`#list li:has-text('${name}') button:has-text('Preview')`);
      const what = name === "notes.txt" ? "#preview-body pre" : "#preview-body img";
      await page.waitForSelector(what);
      seen[name] = await page.locator(what).evaluate((one) => one.naturalWidth ?? one.textContent);
      await page.click("#preview-close");
    }
    const [got] = await Promise.all([page.waitForEvent("download"), page.click("#list li:has-text('line') a[download]")]);
    await got.saveAs(`${folder}/newline`);
  },

  async upload() {
    let begins = [];
    page.on("request", (request) => {
      if (request.method() === "PUT") begins.push(Number(new URL(request.url()).searchParams.get("offset")));
    });
    await page.click("#files-toggle");
    await page.setInputFiles("#pick", `${folder}/large.bin`);
    await until(() => begins.at(-1) > 500_000_000, 60000);
    await context.setOffline(true);
    const cut = await until(async () => (await page.textContent("#uploads")).includes("cut off"));
    await context.setOffline(false);
    const reload = await until(() => begins.at(-1) > 1_200_000_000, 60000);
    await page.reload();
    seen.before = begins.at(-1);
    begins = [];
    await page.click("#files-toggle");
    await page.setInputFiles("#pick", `${folder}/large.bin`);
    await page.waitForSelector("#list li:has-text('large.bin') a[download]", { timeout: 120000 });
    Object.assign(seen, { cut, reload, wentOn: begins[0] });
  },

  // What the page says when a screen is closed with a code after which trying again would not help. The first is the
  // gateway's own answer. The others the page is told in its place: 4408 would take an hour, 4400 is for those who
  // look on, and 1009 may reach a browser that still sends as a cut connection.
  async closed() {
    await page.addInitScript(() => {
      window.sockets = [];
      window.WebSocket = new Proxy(WebSocket, { construct: (Real, given) => { const one = new Real(...given); window.sockets.push(one); return one; } });
    });
    await page.reload();
    await connected();
    const tell = (code, reason) => page.evaluate(([code, reason]) => window.sockets.at(-1).dispatchEvent(new CloseEvent("close", { code, reason, wasClean: true })), [code, reason]);
    const ways = {
      1003: () => page.evaluate(() => window.sockets.at(-1).send("a text")),
      1009: () => tell(1009, "a message is larger than 1048576 bytes"),
      4400: () => tell(4400, "not RFB"),
      4408: () => tell(4408, "nothing moved for 3600 s: reload to go on"),
    };
    for (const [code, close] of Object.entries(ways)) {
      const before = await page.evaluate(() => window.sockets.length);
      await close();
      await page.waitForFunction(() => !document.getElementById("lost").hidden, null, { timeout: 10000 });
      await page.waitForTimeout(1500);
      const told = [await page.textContent("#lost-title"), await page.textContent("#lost-what"), await page.textContent("#reconnect")];
      const isQuiet = before === await page.evaluate(() => window.sockets.length);  // it does not connect again by itself
      await page.click("#reconnect");
      await connected();
      seen[code] = [...told, isQuiet, await page.locator("#lost").isHidden()];
    }
  },

  // From Open on: what is printed while the launch goes on. `folder` is the recipe and GUI here.
  async launch() {
    await page.goto(`${base}/open/${folder}`);
    await page.fill("#workspace", "launched");
    await page.click("button.main.big");
    await page.waitForURL(/sessions\//);
    seen.session = page.url().split("/").pop();
    await page.waitForFunction(() => document.getElementById("launch-log").textContent.includes("program │"), null, { timeout: 30000 });
    seen.state = (await (await context.request.get(`${base}/api/sessions/${seen.session}`)).json()).state;
    seen.lines = (await page.textContent("#launch-log")).split("\n");
    seen.steps = await page.locator("#steps .name").allTextContents();
  },

  // A window that came late, or not: told over the screen, which can be used all the same.
  async late() {
    await connected();
    await page.waitForSelector("#notice:not([hidden])", { timeout: 15000 });
    seen.told = await page.textContent("#notice-what");
    await page.click("#notice-said summary");
    seen.log = await page.textContent("#notice-log");
    await page.click("#notice-close");
    await page.waitForTimeout(4000);
    seen.dismissed = await page.locator("#notice").isHidden();
    await page.reload();
    await connected();
    await page.waitForSelector("#notice:not([hidden])", { timeout: 15000 });
  },

  async refused() {
    await page.route("**/ticket", (route) => route.fulfill({ json: { ticket: "a-ticket-nobody-ever-gave-out", expires: "" } }));
    await page.reload();
    await page.waitForFunction(() => !document.getElementById("lost").hidden, null, { timeout: 20000 });
    seen.words = await page.textContent("#lost-what");
    await page.unroute("**/ticket");
    await page.click("#reconnect");
    await connected();
    await page.locator("#screen canvas").evaluate(() => {});
    seen.back = await page.evaluate(() => document.getElementById("lost").hidden);
  },
};

async function keyboard() {
  const before = await typed();
  const wire = await context.newCDPSession(page);
  const press = async (type, key, code, more = {}) => wire.send("Input.dispatchKeyEvent", { type: type === "up" ? "keyUp" : "keyDown", key, code, ...more });
  const stroke = async (key, code) => { await press("down", key, code); await press("up", key, code); };
  await press("down", "AltGraph", "AltRight");
  await stroke("@", "KeyQ");
  await stroke("€", "KeyE");
  await press("up", "AltGraph", "AltRight");
  for (const [key, code] of [["ä", "Quote"], ["Dead", "Equal"], ["é", "KeyE"], ["ß", "Minus"], ["z", "KeyY"], ["Enter", "Enter"]]) await stroke(key, code);
  await comes("\r");
  const german = await typed();
  seen.german = german.slice(before.length);
  for (const name of ["ctrl-c", "esc", "tab", "f1", "ctrl-alt-del"]) {
    await page.click("#keys summary");
    await page.click(`[data-keys='${name}']`);
  }
  await page.waitForTimeout(700);
  seen.menu = (await typed()).slice(german.length);
}

async function clipboard() {
  await page.click("#clipboard summary");
  await page.fill("#clip-text", "from the panel: µ € 文");
  await page.click("#clip-send");
  await page.waitForTimeout(300);
  await click(200, 300, { button: "middle" });
  seen.panelIn = await comes("from the panel: µ € 文");
  await page.evaluate(() => navigator.clipboard.writeText("from the browser's own"));
  await page.mouse.move(600, 5);
  await page.mouse.move(...await screenAt(300, 300));
  await page.waitForTimeout(500);
  await click(200, 300, { button: "middle" });
  seen.asyncIn = await comes("from the browser's own");
  // From inside the window to beyond its first line: wherever the window manager has put it, that line is in it.
  await page.mouse.move(...await screenAt(200, 300));
  await page.mouse.down();
  await page.mouse.move(...await screenAt(100, 100), { steps: 8 });
  await page.mouse.move(...await screenAt(2, 2), { steps: 8 });
  await page.mouse.up();
  const said = async (read) => (await read()).includes("fromtheprogram");
  seen.panelOut = await until(() => said(() => page.inputValue("#clip-text")));
  seen.asyncOut = await until(() => said(() => page.evaluate(() => navigator.clipboard.readText())));
}

async function screens() {
  const pictureSize = async () => {
    const [got] = await Promise.all([page.waitForEvent("download"), page.click("#shot")]);
    await got.saveAs(`${folder}/shot.png`);
    const head = fs.readFileSync(`${folder}/shot.png`);
    return [head.subarray(1, 4).toString(), head.readUInt32BE(16), head.readUInt32BE(20)];
  };
  seen.screen = await page.locator("#screen canvas").evaluate((one) => [one.width, one.height]);
  seen.shot = await pictureSize();
  await page.selectOption("#fit", "none");
  await page.setViewportSize({ width: 900, height: 600 });
  await page.waitForTimeout(500);
  seen.shotOfPart = await pictureSize();
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.selectOption("#fit", "resize");
  const isFull = (wanted) => until(() => page.evaluate((wanted) => Boolean(document.fullscreenElement) === wanted, wanted));
  const named = async (words) => { await until(async () => await page.textContent("#full") === words); return page.textContent("#full"); };
  seen.full = [];
  for (const leave of [
    async () => { await page.mouse.move(640, 3); await page.click("#full"); },  // the tools come at the upper edge
    () => page.keyboard.press("F11"),
    () => page.evaluate(() => document.exitFullscreen()),  // Esc is the browser's own, and never reaches a page
  ]) {
    await page.mouse.move(640, 400);
    await page.click("#full");
    const entered = await isFull(true), words = await named("Leave fullscreen");
    await leave();
    seen.full.push([entered, words, await isFull(false), await named("Fullscreen")]);
  }
}

async function share() {
  await page.click("#share summary");
  await page.click("#share-make");
  await page.waitForSelector("#share-link:visible");
  const link = await page.inputValue("#share-link"), before = await typed();
  const other = await browser.newContext({ viewport: { width: 1000, height: 700 } });
  const watcher = await other.newPage();
  watcher.on("pageerror", (error) => seen.problems.push(String(error)));
  await watcher.goto(link);
  await connected(watcher);
  seen.watchUrl = new URL(watcher.url()).hash;
  seen.watched = await until(() => watcher.locator("#screen canvas").evaluate((one) => one.width && new Set(one.getContext("2d").getImageData(0, 0, one.width, one.height).data).size > 1));
  await watcher.mouse.click(400, 300);
  await watcher.keyboard.type("they must not type");
  await watcher.mouse.click(400, 300, { button: "middle" });
  await watcher.waitForTimeout(1000);
  seen.watcherTyped = (await typed()).slice(before.length);
  seen.watcherFiles = (await other.request.get(files)).status();
  await page.keyboard.press("Escape");
  await click(200, 200);
  await page.keyboard.type("still mine");
  seen.stillMine = await comes("still mine");
  await other.close();
}

async function end() {
  const state = async () => (await context.request.get(`${base}/api/sessions/${session}`)).json();
  const file = `${folder}/session.json`, data = JSON.parse(fs.readFileSync(file));
  seen.left = await page.textContent("#left");
  data.session.expires = new Date(Date.now() + 120000).toISOString().replace("Z", "000Z");
  fs.writeFileSync(`${file}.new`, JSON.stringify(data));
  fs.renameSync(`${file}.new`, file);
  seen.soon = await until(() => page.locator("#countdown.is-soon").count());
  seen.leftSoon = (await state()).left_s;
  await page.click("#extend");
  seen.soonOver = await until(() => page.locator("#countdown:not(.is-soon)").count());
  seen.leftExtended = (await state()).left_s;
  await page.click("#end");
  await page.waitForFunction(() => document.getElementById("connection").textContent === "ended", null, { timeout: 60000 });
  seen.over = await page.textContent("#over-title");
  seen.why = await page.textContent("#over-what");
  seen.record = await page.locator("#record-link").isVisible();
}

await jobs[job]();
console.log(JSON.stringify(seen));
await browser.close();
