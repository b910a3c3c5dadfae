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
    const tops = [...element.querySelectorAll('span, time, strong')]
      .flatMap((part) => [...part.getClientRects()]).map((box) => box.bottom);
    return tops.length === 0 ? 0 : Math.max(...tops) - Math.min(...tops);
  };
  const wrapped = [...document.querySelectorAll('.tile .value')]
    .filter((value) => value.querySelector('.number') && height(value) > 20)
    .map((value) => value.parentElement.textContent);
  const clipped = [...document.querySelectorAll('.tile p, td, dd')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent);
  return { overflow, wrapped, clipped };
};

const ready = (page) => page.waitForSelector('#main');

async function checkViews(browser) {
  const found = [];
  for (const { name, url, width, height, scheme, run_axe } of task.views) {
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, bypassCSP: run_axe,
    });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('dialog', (dialog) => { errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => {
      if (!request.url().startsWith(task.origin[name.split('-')[0]])) errors.push(`requests ${request.url()}`);
    });
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await ready(page);
    await page.screenshot({ path: `${task.screenshots}/${name}.png`, fullPage: true });
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
  await page.goto(task.without_scripts, { waitUntil: 'domcontentloaded' });
  const text = await page.innerText('main');
  await context.close();
  return text;
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
    if (task.live) await live(browser);
  } finally {
    await browser.close();
  }
  process.exit(0);
})().catch((error) => { send('broken', String(error.stack)); process.exit(1); });
