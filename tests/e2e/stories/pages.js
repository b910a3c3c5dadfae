// What a browser says about pages: node pages.js TASKS.json, answers as JSON on stdout.
//
// Drives a Chromium of the system through playwright-core; looks with axe-core. Runs from
// tests/e2e/stories/pages.py, which says where both lie and what to look at.
'use strict';
const fs = require('fs');
const task = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const { chromium } = require(`${task.modules}/playwright-core`);
const axe = fs.readFileSync(`${task.modules}/axe-core/axe.min.js`, 'utf8');

const LOOK = () => {
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const lines = (element) => {
    const tops = [...element.querySelectorAll('span, time, strong')]
      .flatMap((part) => [...part.getClientRects()]).map((box) => box.bottom);
    return tops.length === 0 ? 0 : Math.max(...tops) - Math.min(...tops);
  };
  const broken = [...document.querySelectorAll('.tile .value')]
    .filter((value) => value.querySelector('.number') && lines(value) > 20)
    .map((value) => value.parentElement.textContent);
  const spilled = [...document.querySelectorAll('.tile p, td, dd')]
    .filter((box) => box.scrollWidth > box.clientWidth + 1).map((box) => box.textContent);
  return { wide, broken, spilled };
};

const settled = (page) => page.waitForSelector('#main');

async function looks(browser) {
  const found = [];
  for (const { name, url, width, height, scheme, check } of task.looks) {
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, bypassCSP: check,
    });
    const page = await context.newPage();
    const errors = [];
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('dialog', (dialog) => { errors.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on('request', (request) => {
      if (!request.url().startsWith(task.origin[name.split('-')[0]])) errors.push(`asks ${request.url()}`);
    });
    await page.goto(url, { waitUntil: 'domcontentloaded' });
    await settled(page);
    await page.screenshot({ path: `${task.shots}/${name}.png`, fullPage: true });
    const looked = await page.evaluate(LOOK);
    let complaints = [];
    if (check) {
      await page.evaluate(axe);
      const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
      complaints = result.violations.map((it) => `${it.id}: ${it.nodes.map((n) => n.html.slice(0, 200)).join(' | ')}`);
    }
    found.push({ name, checked: check, errors, complaints, ...looked });
    await context.close();
  }
  return found;
}

async function withoutScripts(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(task.still, { waitUntil: 'domcontentloaded' });
  const text = await page.innerText('main');
  await context.close();
  return text;
}

// Waits for the node's test to do its part, by a line on stdin.
const turns = [];
let waiting = null;
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  if (waiting) { const go = waiting; waiting = null; go(line); } else turns.push(line);
});
const turn = () => (turns.length ? Promise.resolve(turns.shift()) : new Promise((go) => { waiting = go; }));
const say = (word, value) => process.stdout.write(JSON.stringify([word, value]) + '\n');

async function live(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(task.live, { waitUntil: 'domcontentloaded' });
  // Lost with a reload.
  await page.evaluate(() => { window.sameDocument = true; });
  const kept = () => page.evaluate(() => window.sameDocument === true);
  const shows = (text) => page.waitForFunction(
    (wanted) => document.getElementById('values').innerText.includes(wanted), text, { timeout: 20000 });
  say('loaded', true);
  for (;;) {
    const [word, argument] = JSON.parse(await turn());
    if (word === 'end') break;
    try {
      if (word === 'shows') await shows(argument);
      if (word === 'offline') await page.waitForSelector('#offline:not([hidden])', { timeout: 25000 });
      if (word === 'online') await page.waitForSelector('#offline', { state: 'hidden', timeout: 25000 });
      say(word, await kept());
    } catch (error) {
      say(word, `${error}; the page shows ${await page.innerText('main')}`);
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
    say('looks', await looks(browser));
    if (task.still) say('still', await withoutScripts(browser));
    if (task.live) await live(browser);
  } finally {
    await browser.close();
  }
  process.exit(0);
})().catch((error) => { say('broken', String(error.stack)); process.exit(1); });
