// Browser driver of the story `pages`: node pages.js TASK.json, results as JSON lines on stdout.
//
// Drives the system's Chromium with playwright-core and checks pages with axe-core. Started by
// pages.py, whose task says where both are and which pages to check.
'use strict';
const fs = require('fs');
const task = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { chromium } = require(`${task.modules}/playwright-core`);
const axe = fs.readFileSync(`${task.modules}/axe-core/axe.min.js`, 'utf8');

// Layout problems, measured within the page.
const findLayoutProblems = () => {
  const overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const height = (element) => {
    const tops = [...element.querySelectorAll('span:not(.unseen), time, strong')]
      .flatMap((part) => [...part.getClientRects()]).map((box) => box.bottom);
    return tops.length === 0 ? 0 : Math.max(...tops) - Math.min(...tops);
  };
  const wrapped = [...document.querySelectorAll('.tile .value')]
    .filter((value) => value.querySelector('.number') && height(value) > 20)
    .map((value) => value.parentElement.textContent);
  const clipped = [...document.querySelectorAll('.tile p, td, dd')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent);
  // A wall page fits the screen, and each text its cell.
  const isWithin = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1
    && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
  const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  const outside = document.getElementById('wall') === null ? [] : [
    ...[...document.querySelectorAll('#wall *')].map((box) => [box, screen]),
    ...[...document.querySelectorAll('#wall .cell text')].map((text) => [text, text.closest('.cell').getBoundingClientRect()]),
  ].filter(([box, room]) => !isWithin(box.getBoundingClientRect(), room)).map(([box]) => `${box.tagName}: ${box.textContent}`);
  return { overflow, wrapped, clipped, outside };
};

const ready = (page) => page.waitForSelector('#main');

async function checkViews(browser) {
  const found = [];
  for (const { name, url, width, height, scheme, run_axe, status } of task.views) {
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, bypassCSP: run_axe,
    });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    // The browser says there that a page with an error status is one.
    page.on('console', (message) => { if (message.type() === 'error' && status !== 404) errors.push(`console: ${message.text()} ${message.location().url}`); });
    page.on('dialog', (dialog) => { errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => {
      if (!request.url().startsWith(task.origin[name.split('-')[0]])) errors.push(`requests ${request.url()}`);
    });
    const response = await page.goto(url, { waitUntil: 'domcontentloaded' });
    if (status && response.status() !== status) errors.push(`${response.status()} instead of ${status}`);
    await ready(page);
    await page.screenshot({ path: `${task.screenshots}/${name}.png`, fullPage: true })
      .catch((error) => { throw new Error(`${name}: ${error}`); });
    const layout = await page.evaluate(findLayoutProblems);
    let violations = [];
    if (run_axe) {
      await page.evaluate(axe);
      const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      violations = result.violations.map((it) => `${it.id}: ${it.nodes.map((n) => n.html.slice(0, 200)).join(' | ')}`);
    }
    found.push({ name, checked: run_axe, errors, violations, ...layout });
    await context.close();
  }
  return found;
}

async function withoutScripts(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  const found = {};
  for (const [name, url] of Object.entries(task.without_scripts)) {
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    found[name] = { text: await page.innerText('main'), html: await page.innerHTML('main') };
  }
  await context.close();
  return found;
}

// What a chart reads out to the mouse and to the keyboard, and where dragging over it leads.
async function readsCharts(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(task.chart, { waitUntil: 'domcontentloaded' });
  const plot = page.locator('svg.lines').first();
  const readout = () => page.locator('figure.chart output').first().textContent();
  const crosses = () => page.locator('svg.lines .cross.on').count();
  const box = await plot.boundingBox();
  const pointAt = (share) => page.mouse.move(box.x + box.width * share, box.y + box.height / 2);
  const found = { keys: {} };
  await pointAt(0.3);
  found.mouse = [await readout()];
  await pointAt(0.7);
  found.mouse.push(await readout());
  found.crosses = await crosses();
  await page.mouse.move(1, 1);
  found.left = await readout();
  await plot.focus();
  for (const key of ['End', 'ArrowLeft', 'ArrowRight', 'Home', 'ArrowRight', 'Escape']) {
    await page.keyboard.press(key);
    (found.keys[key] ??= []).push(await readout());
  }
  await pointAt(0.3);
  await page.mouse.down();
  await pointAt(0.6);
  await Promise.all([page.waitForURL(/from=/), page.mouse.up()]);
  await page.waitForSelector('svg.lines');
  found.zoom = page.url();
  await context.close();
  return { ...found, errors };
}

// Commands of pages.py, one JSON line each.
const commands = [];
let waiting = null;
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  if (waiting) { const resolve = waiting; waiting = null; resolve(line); } else commands.push(line);
});
const nextCommand = () => (
  commands.length ? Promise.resolve(commands.shift()) : new Promise((resolve) => { waiting = resolve; }));
const send = (name, value) => process.stdout.write(JSON.stringify([name, value]) + '\n');

async function live(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(task.live, { waitUntil: 'domcontentloaded' });
  // A reload loses this variable.
  await page.evaluate(() => { window.sameDocument = true; });
  const sameDocument = () => page.evaluate(() => window.sameDocument === true);
  const shows = (text) => page.waitForFunction(
    (expected) => document.getElementById('values').innerText.includes(expected), text, { timeout: 20000 });
  send('loaded', true);
  for (;;) {
    const [name, argument] = JSON.parse(await nextCommand());
    if (name === 'end') break;
    try {
      if (name === 'shows') await shows(argument);
      if (name === 'offline') await page.waitForSelector('#offline:not([hidden])', { timeout: 25000 });
      if (name === 'online') await page.waitForSelector('#offline', { state: 'hidden', timeout: 25000 });
      send(name, await sameDocument());
    } catch (error) {
      send(name, `${error}; the page shows ${await page.innerText('main')}`);
    }
  }
  await context.close();
}

(async () => {
  const browser = await chromium.launch({
    executablePath: task.browser, headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
  });
  try {
    send('views', await checkViews(browser));
    if (task.without_scripts) send('without_scripts', await withoutScripts(browser));
    if (task.chart) send('chart', await readsCharts(browser));
    if (task.live) await live(browser);
  } finally {
    await browser.close();
  }
  process.exit(0);
})().catch((error) => { send('broken', String(error.stack)); process.exit(1); });
