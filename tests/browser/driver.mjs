// A Chromium that does what it is told: one JSON line in, one JSON line out. The tests, in Python, decide and judge.
import { chromium } from "playwright-core";
import fs from "node:fs";
import readline from "node:readline";

const flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
const contexts = new Map(), pages = new Map(), problems = [];

async function pageOf({ tab = "main", as = "user", width = 1280, height = 900, scheme = "light" }) {
  if (pages.has(tab)) return pages.get(tab);
  if (!contexts.has(as)) contexts.set(as, await browser.newContext({ viewport: { width, height }, acceptDownloads: true }));
  const page = await contexts.get(as).newPage();
  await page.emulateMedia({ colorScheme: scheme });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) problems.push(message.text()); });
  page.on("dialog", (dialog) => dialog.accept());
  pages.set(tab, page);
  return page;
}

const acts = {
  goto: async (page, { url }) => { await page.goto(url); return page.url(); },
  url: (page) => page.url(),
  reload: async (page) => { await page.reload(); },
  look: async (page, { width, height, scheme }) => { await page.setViewportSize({ width, height }); await page.emulateMedia({ colorScheme: scheme ?? "light" }); },
  click: (page, { on }) => page.click(on),
  fill: (page, { on, text }) => page.fill(on, text),
  check: (page, { on }) => page.check(on),
  choose: (page, { on, value }) => page.selectOption(on, value),
  text: (page, { on }) => page.textContent(on),
  count: (page, { on }) => page.locator(on).count(),
  height: (page, { on }) => page.locator(on).first().evaluate((one) => one.getBoundingClientRect().height),
  visible: (page, { on }) => page.isVisible(on),
  appear: async (page, { on, timeout = 60000 }) => { await page.waitForSelector(on, { timeout }); },
  vanish: async (page, { on, timeout = 60000 }) => { await page.waitForSelector(on, { state: "hidden", timeout }); },
  until: async (page, { on, text, timeout = 60000 }) => {
    await page.waitForFunction(([on, text]) => document.querySelector(on)?.textContent.includes(text), [on, text], { timeout });
  },
  arrive: async (page, { at, timeout = 60000 }) => { await page.waitForURL(new RegExp(at), { timeout }); return page.url(); },
  // Keys and pointer, as the program on the screen gets them; positions are the screen's own pixels.
  point: async (page, { x, y, button = "left" }) => {
    const canvas = page.locator("#screen canvas");
    const { box, size } = { box: await canvas.boundingBox(), size: await canvas.evaluate((c) => [c.width, c.height]) };
    await page.mouse.move(box.x + (x * box.width) / size[0], box.y + (y * box.height) / size[1], { steps: 3 });
    await page.waitForTimeout(200);  // a hand needs so long, and old toolkits count on it
    await page.mouse.down({ button });
    await page.waitForTimeout(80);
    await page.mouse.up({ button });
  },
  type: (page, { text }) => page.keyboard.type(text, { delay: 12 }),
  press: (page, { key }) => page.keyboard.press(key),
  screen: async (page, { file }) => {
    const url = await page.evaluate(() => document.querySelector("#screen canvas")?.toDataURL("image/png") ?? "");
    fs.writeFileSync(file, Buffer.from(url.split(",")[1] ?? "", "base64"));
  },
  // A picture file as grey bytes, in base64: a browser reads PNG already, so that the tests need no other reader.
  grey: async (page, { file }) => page.evaluate(async (png) => {
    const image = new Image();
    image.src = `data:image/png;base64,${png}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext("2d");
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, image.width, image.height);
    let grey = "";
    for (let i = 0; i < data.length; i += 4) grey += String.fromCharCode(Math.round(data[i] * 0.299 + data[i + 1] * 0.587 + data[i + 2] * 0.114));
    return { width: image.width, height: image.height, grey: btoa(grey) };
  }, fs.readFileSync(file).toString("base64")),
  picture: async (page, { file, full = false }) => { await page.screenshot({ path: file, fullPage: full }); },
  upload: (page, { file }) => page.setInputFiles("#pick", file),
  download: async (page, { on, file }) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(on)]);
    await download.saveAs(file);
  },
  ask: (page, { path, method = "GET", body, headers = {} }) => page.evaluate(async ({ path, method, body, headers }) => {
    const guard = document.querySelector('meta[name="guard"]')?.content ?? "";
    const answer = await fetch(path, { method, body: body && JSON.stringify(body), headers: { Accept: "application/json", "Content-Type": "application/json", "X-Guard": guard, ...headers } });
    return { status: answer.status, data: await answer.json().catch(() => null) };
  }, { path, method, body, headers }),
  // Which code a WebSocket with this ticket is closed with; `message` is what came first instead.
  knock: (page, { session, ticket }) => page.evaluate(([session, ticket]) => new Promise((done) => {
    const socket = new WebSocket(`ws://${location.host}/ws/${session}`, ["binary", `thaw.ticket.${ticket}`]);
    socket.onmessage = async ({ data }) => { done({ code: 0, message: await new Response(data).text() }); socket.close(); };
    socket.onclose = ({ code, reason }) => done({ code, message: reason });
  }), [session, ticket]),
  problems: () => problems.splice(0),
  close: async (page, { tab }) => { await page.close(); pages.delete(tab); },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  try {
    const page = asked.act === "problems" ? null : await pageOf(asked);
    console.log(JSON.stringify({ answer: (await acts[asked.act](page, asked)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
