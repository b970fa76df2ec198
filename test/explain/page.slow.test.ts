import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { Browser, Page } from 'puppeteer-core';
import { launch } from 'puppeteer-core';
import { bytes, fitted } from '../../cli/page/browser/format.ts';
import { collectPageData } from '../../cli/page/collect.ts';
import type { PageData } from '../../cli/page/page-data.ts';
import { pageHtml } from '../../cli/page/write.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { builtinModel, findBuiltin } from '../../soap/models/index.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { expertStrategy } from '../../soap/baselines/index.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { freelyNamed } from '../support/freely-named.ts';
import { FULL_RUN } from '../support/full-run.ts';

const CHROMIUM = process.env['SOAPSTONE_CHROMIUM'] ?? '/usr/bin/chromium';

/** Tests with a browser: where all tests are run there has to be one, else they are left out with a sentence. */
const inBrowser = FULL_RUN || existsSync(CHROMIUM) ? test : test.skip;
if (!FULL_RUN && !existsSync(CHROMIUM)) {
  console.log(`no browser at ${CHROMIUM}: the page's tests are left out; install Debian's chromium to run them`);
}

test('a name too long for its room is cut in the middle, and as little as needed', (t) => {
  const widthOf = (text: string): number => 7 * text.length;
  const name = 'node0/gpu0>node0/nvswitch';
  t.is(fitted(name, 7 * 25, widthOf), name);
  t.is(fitted(name, 7 * 25 - 1, widthOf), 'node0/gpu0>n…e0/nvswitch');
  t.is(fitted(name, 7 * 4, widthOf), 'no…h');
  t.is(fitted(name, 0, widthOf), '…');
});

const HOSTILE = `</script><img src=x onerror="document.title='stolen'">`;

/** The page of a model, by the expert's strategy unless another is given. */
function pageOf(training: TrainingGraph, devices: number | Cluster, given?: Strategy): PageData {
  const cluster = typeof devices === 'number' ? presetCluster(`p100x${devices}`) : devices;
  const problem = { training, cluster, costs: createRooflineCosts() };
  const strategy = given ?? expertStrategy(training.graph, problem.cluster);
  const prediction = evaluate(problem, strategy);
  const context = { prediction, baselines: { data: prediction }, origin: 'expert' };
  const plan = createPlan(problem, strategy, context);
  return collectPageData(plan, problem, strategy, explain(problem, strategy));
}

/** LeNet whose names come from someone who wishes us ill. */
function hostileLenet(): TrainingGraph {
  const { graph, ...loss } = lenet();
  const ops = graph.ops.map((op, i) => (i === 0 ? { ...op, name: HOSTILE } : op));
  return { ...loss, graph: { ...graph, name: HOSTILE, ops } };
}

function lenet(): TrainingGraph {
  return attachLoss(findBuiltin('lenet').build(64, {}), 'crossEntropy');
}

interface Opened {
  readonly page: Page;
  /** Messages of the console, errors, and requests beyond the page itself. */
  readonly incidents: string[];
}

async function open(t: ExecutionContext, data: PageData, scheme: string = 'light'): Promise<Opened> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-page-'));
  const file = join(directory, 'page.html');
  await writeFile(file, await pageHtml(data));
  const browser: Browser = await launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
    userDataDir: join(directory, 'profile'),
  });
  t.teardown(async () => {
    await browser.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  const page = await browser.newPage();
  const incidents: string[] = [];
  page.on('console', (message) => incidents.push(`console: ${message.text()}`));
  page.on('pageerror', (error) => incidents.push(`error: ${String(error)}`));
  page.on('request', (request) => {
    if (request.url() !== pathToFileURL(file).href && !request.url().startsWith('data:')) incidents.push(request.url());
  });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.setViewport({ width: 1280, height: 900 });
  await page.goto(pathToFileURL(file).href);
  await drawn(page);
  return { page, incidents };
}

/** Waits for the frame that a change asked for. */
async function drawn(page: Page): Promise<{ rectangles: number; looked: number; view: string }> {
  await page.waitForSelector('canvas[data-rectangles]');
  const script = `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
    const { rectangles, looked, view } = document.querySelector('canvas').dataset;
    done(JSON.stringify({ rectangles: Number(rectangles), looked: Number(looked), view }));
  })))`;
  return JSON.parse(String(await page.evaluate(script)));
}

const textOf = async (page: Page, selector: string): Promise<string> =>
  String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)}).textContent`));

const focused = async (page: Page): Promise<string> =>
  String(await page.evaluate(`document.activeElement.dataset.op ?? document.activeElement.tagName`));

/** Pixels of a part of the page that have a colour, as drawings have and text has not: by a screenshot, which the browser itself takes apart. */
async function paintedPixels(page: Page, selector: string): Promise<number> {
  const shot = await (await page.$(selector))!.screenshot({ encoding: 'base64' });
  const reader = await page.browser().newPage();
  const script = `(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,${shot}';
    await image.decode();
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    let painted = 0;
    for (let i = 0; i < data.length; i += 4) {
      const [red, green, blue] = data.subarray(i, i + 3);
      if (Math.max(red, green, blue) - Math.min(red, green, blue) > 64) painted += 1;
    }
    return painted;
  })()`;
  const painted = Number(await reader.evaluate(script));
  await reader.close();
  return painted;
}

/** Panels that are drawings. */
const DRAWN = ['#graph', '#timeline', '#cluster', '#memory'];

inBrowser('the page shows every part, by keyboard alone, without errors or requests', async (t) => {
  t.timeout(180_000);
  const data = pageOf(lenet(), 8);
  const { page, incidents } = await open(t, data);
  t.is(String(await page.evaluate(`document.querySelectorAll('.op').length`)), String(data.ops.length));
  t.regex(await textOf(page, '.overview'), /lenet on p100x8.*samples a second/);
  t.regex(await textOf(page, '#cluster'), /node0.*node1/);
  t.is(String(await page.evaluate(`document.querySelectorAll('#memory svg').length`)), '8');
  const fullest = bytes(Math.max(...data.memory.map(({ neededBytes }) => neededBytes)));
  for (const place of ['.overview', '#memory']) t.true((await textOf(page, place)).includes(fullest), place);
  t.regex(await textOf(page, '#comparison'), /this plan \(expert\).*data parallel/);
  t.regex(await textOf(page, '#levers'), /all devices twice as fast/);
  t.regex(await textOf(page, '#search'), /Nothing was searched/);

  // The graph is one stop of the tabulator key; arrows walk in it, and Enter explains.
  for (let i = 0; i < 12 && (await focused(page)) !== '0'; i++) await page.keyboard.press('Tab');
  t.is(await focused(page), '0');
  await page.keyboard.press('ArrowRight');
  t.is(await focused(page), String(data.successors[0]![0]));
  await page.keyboard.press('Enter');
  const { op, configuration, dataParallel } = data.ops[data.successors[0]![0]!]!;
  const told = await textOf(page, 'aside');
  for (const part of [op, configuration, dataParallel.isChosen ? 'what the plan does' : dataParallel.reason]) {
    t.true(told.includes(part), `'${part}' is not in '${told}'`);
  }

  // The explanation's buttons replace each other, and the focus stays with them.
  const button = async (): Promise<string> => String(await page.evaluate(`document.activeElement.textContent`));
  await page.focus('aside .back');
  await page.keyboard.press('Enter');
  t.true((await button()).startsWith(op));
  await page.keyboard.press('Enter');
  t.regex(await button(), /all ops/);
  t.true((await textOf(page, 'aside')).includes(configuration));
  for (let i = 0; i < 8 && (await focused(page)) !== 'CANVAS'; i++) await page.keyboard.press('Tab');
  t.is(await focused(page), 'CANVAS');
  const spanOf = (view: string): number => Number(view.split(' ')[1]) - Number(view.split(' ')[0]);
  const before = await drawn(page);
  await page.keyboard.press('+');
  const zoomed = await drawn(page);
  t.true(spanOf(zoomed.view) < spanOf(before.view));
  await page.keyboard.press('ArrowRight');
  t.true(Number((await drawn(page)).view.split(' ')[0]) > Number(zoomed.view.split(' ')[0]));
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('0');
  await page.keyboard.press('.');
  t.regex((await drawn(page)).view, / 1$/);
  t.regex(await textOf(page, '.status'), /^node0\/gpu1: \S.*, [\d.]+ (us|ms) from [\d.]+ (us|ms)$/);
  await page.keyboard.press('Escape');
  t.regex(await textOf(page, 'aside'), /Where the time goes/);
  t.deepEqual(incidents, []);
});

inBrowser(
  'keys with modifiers are left to the browser, and only the first button drags, while it is held',
  async (t) => {
    t.timeout(180_000);
    const { page } = await open(t, pageOf(lenet(), 2));
    await page.evaluate(`document.querySelector('.op').focus()`);
    for (const modifier of ['Alt', 'Control', 'Meta'] as const) {
      await page.keyboard.down(modifier);
      await page.keyboard.press('ArrowRight');
      await page.keyboard.up(modifier);
      t.is(await focused(page), '0', modifier);
    }
    await page.focus('canvas');
    await page.keyboard.press('+');
    const { x, y, width, height } = (await (await page.$('canvas'))!.boundingBox())!;
    const moveBy = async (dx: number): Promise<string> => {
      await page.mouse.move(x + (2 * width) / 3 + dx, y + height / 2);
      return (await drawn(page)).view.split(' ').slice(0, 2).join(' ');
    };
    const before = await moveBy(0);
    await page.mouse.down({ button: 'right' });
    t.is(await moveBy(40), before);
    await page.mouse.up({ button: 'right' });
    await page.mouse.down();
    const dragged = await moveBy(80);
    t.not(dragged, before);
    await page.evaluate(`document.querySelector('canvas').releasePointerCapture(1)`);
    await moveBy(81);
    const released = await moveBy(82);
    t.is(await moveBy(160), released);
  },
);

inBrowser('what does not fit has no bar, and shortens no other', async (t) => {
  t.timeout(180_000);
  const data = pageOf(lenet(), 2);
  const levers = [
    { change: 'a', iterationMs: 1, samplesPerSecond: 1, gain: 9, feasible: false },
    { change: 'b', iterationMs: 1, samplesPerSecond: 1, gain: 0.2, feasible: true },
    { change: 'c', iterationMs: 1, samplesPerSecond: 1, gain: 0, feasible: true },
  ];
  const { page } = await open(t, { ...data, explanation: { ...data.explanation, levers } });
  const widths = `[...document.querySelectorAll('#levers i')].map(({ style }) => style.width)`;
  t.deepEqual(await page.evaluate(widths), ['0%', '100%']);
  t.regex(await textOf(page, '#levers'), /adoes not fitb\+20\.0%By themselves make no difference: c\.$/);
});

inBrowser('what leaves a node is the same whatever devices are called', async (t) => {
  t.timeout(180_000);
  const cluster = presetCluster('p100x8');
  const [usual, free] = await Promise.all(
    [cluster, freelyNamed(cluster)].map(async (each) => {
      const { page } = await open(t, pageOf(lenet(), each));
      return page.evaluate(`[...document.querySelectorAll('.port i')].map(({ style }) => parseFloat(style.width))`);
    }),
  );
  t.true(Array.isArray(usual) && usual.length === 4 && usual.every((width) => width > 0), String(usual));
  t.deepEqual(free, usual);
});

inBrowser('light and dark differ, and names from model files do no harm', async (t) => {
  t.timeout(180_000);
  const data = pageOf(hostileLenet(), 2);
  const { page, incidents } = await open(t, data, 'dark');
  const background = (): Promise<unknown> => page.evaluate(`getComputedStyle(document.body).backgroundColor`);
  const dark = await background();
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  t.not(await background(), dark);
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await drawn(page);
    for (const panel of DRAWN) t.true((await paintedPixels(page, panel)) > 200, `${panel}, ${scheme}`);
    t.true((await paintedPixels(page, '#search')) < 50, `#search has nothing to draw, ${scheme}`);
  }
  t.true((await page.title()).startsWith(HOSTILE));
  t.is(await page.evaluate(`document.querySelectorAll('img').length`), 0);
  t.true((await textOf(page, 'h1')).startsWith(HOSTILE));
  t.deepEqual(incidents, []);
});

/** A page with many tasks in rows of devices, of ops as told, without a critical path. */
function manyTasks(base: PageData, rows: number, perRow: number, opOf: (i: number) => number): PageData {
  const total = rows * perRow;
  const base64 = (array: Float32Array | Uint32Array): string => Buffer.from(array.buffer).toString('base64');
  const slotUs = base.explanation.makespanUs / perRow;
  return {
    ...base,
    rows: Array.from({ length: rows }, (_, i) => ({ name: `gpu${i}`, kind: 'device', sliceCount: perRow })),
    sliceStartUs: base64(Float32Array.from({ length: total }, (_, i) => (i % perRow) * slotUs)),
    sliceDurationUs: base64(Float32Array.from({ length: total }, () => slotUs * 0.8)),
    sliceCode: base64(Uint32Array.from({ length: total }, (_, i) => 8 * opOf(i) + (i % 2))),
    pathFromUs: '',
    pathToUs: '',
    pathRow: '',
  };
}

inBrowser('a frame costs as many steps as there are pixels, not as there are tasks', async (t) => {
  t.timeout(180_000);
  const base = pageOf(lenet(), 2);
  const work = async (perRow: number): Promise<[looked: number, selected: number]> => {
    const { page } = await open(
      t,
      manyTasks(base, 64, perRow, () => 0),
    );
    const { looked } = await drawn(page);
    await page.evaluate(`document.querySelector('.op').dispatchEvent(new MouseEvent('click'))`);
    return [looked, (await drawn(page)).looked];
  };
  const [[few], [many, selected]] = [await work(500), await work(8000)];
  t.true(few > 0);
  // 512,000 tasks: 24 rows are seen, each about 1,000 pixels wide, two to a step.
  t.true(many <= 24 * 640, `${many} steps`);
  t.true(many <= 2 * few, `${many} steps for sixteen times the tasks, ${few} before`);
  t.true(selected <= 2 * many, `${selected} steps with an op selected, all of whose tasks are drawn twice`);
});

inBrowser('every task of a selected op is seen, also among others in the same pixel', async (t) => {
  t.timeout(180_000);
  // About eight tasks a pixel, one of 64 of the second op.
  const { page } = await open(
    t,
    manyTasks(pageOf(lenet(), 2), 8, 8000, (i) => (i % 64 === 37 ? 1 : 0)),
  );
  await page.evaluate(`document.querySelectorAll('.op')[1].dispatchEvent(new MouseEvent('click'))`);
  await drawn(page);
  const painted = await paintedPixels(page, 'canvas');
  // 125 of them in each of 8 rows, two pixels wide and 16 high; the edges of some are blurred.
  const all = 8 * 125 * 2 * 16;
  t.true(painted > 0.7 * all && painted < 1.5 * all, `${painted} pixels, not ${all}`);
});

inBrowser('a page of 1,000 ops and 64 devices has them all, and is walked and zoomed by keyboard', async (t) => {
  t.timeout(180_000);
  const training = attachLoss(
    builtinModel('resnet101', 8, 1, { blocks: '3-4-92-3', image: 32, width: 4 }).graph,
    'crossEntropy',
  );
  const { ops } = training.graph;
  t.true(ops.length >= 1000, `${ops.length} ops`);
  // Whole ops, dealt out: few tasks, so that the page is what is tested.
  const configs = ops.map((op, id) => ({
    degrees: opDimensions(training.graph, op).map(() => 1),
    devices: [id % 64],
  }));
  const { page, incidents } = await open(t, pageOf(training, 64, { configs }));
  t.is(Number(await page.evaluate(`document.querySelectorAll('.op').length`)), ops.length);
  t.is(Number(await page.evaluate(`document.querySelectorAll('#memory svg').length`)), 64);
  for (const panel of DRAWN) t.true((await paintedPixels(page, panel)) > 200, panel);
  await page.evaluate(`document.querySelector('.op').focus()`);
  for (let i = 0; i < 30; i++) await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  t.true((await textOf(page, 'aside')).includes(ops[Number(await focused(page))]!.name));
  await page.focus('canvas');
  for (const key of ['+', '+', '+', 'ArrowRight', 'ArrowDown', '.', '-'] as const) await page.keyboard.press(key);
  // As many steps as there are pixels, see below.
  t.true((await drawn(page)).looked <= 24 * 640);
  t.deepEqual(incidents, []);
});
