import { helpfulLevers, uselessInWords } from '../../../soap/explain/helpful-levers.ts';
import { linksAloneUs } from '../../../soap/explain/host-share.ts';
import { originTitle } from '../../../soap/plan/origin-title.ts';
import { duration, samplesInWords } from '../../terminal/format.ts';
import type { PageData } from '../page-data.ts';
import { bar, element, panel, svg } from './dom.ts';
import { bytes, percent, time } from './format.ts';

const PARTS = [
  ['computeUs', 'compute', 'compute'],
  ['transfersUs', 'transfers', 'transfers'],
  ['collectivesUs', 'sums', 'sums of gradients'],
  ['updatesUs', 'updates', 'updates'],
  ['waitingUs', 'waiting', 'waiting for links'],
] as const;

/** The head of the page: what is planned, how fast it is, and where the critical path spends its time. */
export function overview({ explanation }: PageData): HTMLElement {
  const { model, cluster, budget, makespanUs } = explanation;
  const segments = PARTS.filter(([part]) => budget[part] > 0).map(([part, tone, title]) => {
    const segment = element('i', { class: `tone-${tone}`, title: `${title}: ${time(budget[part])}` });
    segment.style.flexGrow = String(budget[part]);
    return segment;
  });
  const legend = PARTS.map(([part, tone, title]) =>
    element(
      'li',
      {},
      element('i', { class: `tone-${tone}` }),
      `${title} `,
      element('b', {}, percent(budget[part] / makespanUs)),
    ),
  );
  return element(
    'header',
    { class: 'overview' },
    element('h1', {}, model, element('small', {}, ` on ${cluster}`)),
    element(
      'dl',
      { class: 'facts' },
      ...factsOf(explanation).map(([value, label, tone]) =>
        element('div', { class: tone }, element('dd', {}, value), element('dt', {}, label)),
      ),
    ),
    element('div', { class: 'budget', role: 'img', 'aria-label': 'budget of the critical path' }, ...segments),
    element('ul', { class: 'legend' }, ...legend),
  );
}

type Fact = readonly [value: string, label: string, tone?: 'tight'];

function factsOf(explanation: PageData['explanation']): Fact[] {
  const { batch, accumulationSteps, prediction, makespanUs } = explanation;
  const { iterationMs, samplesPerSecond, transferredBytes, peakMemoryBytes } = prediction;
  const { missingMemoryBytes, oversizedMessageBytes = 0 } = prediction;
  const aloneUs = linksAloneUs(explanation);
  const facts: Fact[] = [[duration(iterationMs), `an iteration of ${samplesInWords(batch)}`]];
  if (aloneUs !== undefined) facts.push([time(aloneUs), 'of it devices and links alone, which the page is about']);
  if (accumulationSteps > 1) {
    facts.push([time(makespanUs), `the last of its ${accumulationSteps} micro-batches, shown here`]);
  }
  facts.push(
    [Math.round(samplesPerSecond).toLocaleString('en'), 'samples a second'],
    [bytes(transferredBytes), 'between devices'],
    missingMemoryBytes > 0
      ? [bytes(peakMemoryBytes), 'on the fullest device: too much', 'tight']
      : [bytes(peakMemoryBytes), 'on the fullest device'],
  );
  if (oversizedMessageBytes > 0) {
    facts.push([bytes(oversizedMessageBytes), 'in messages beyond what they may have', 'tight']);
  }
  return facts;
}

/** The plan beside the baselines, and what would help. */
export function comparisonPanel({ baselines, origin, explanation }: PageData): HTMLElement {
  const all = [
    [origin === 'search' ? 'this plan' : `this plan (${originTitle(origin)})`, explanation.prediction] as const,
    ...Object.entries(baselines).map(([name, prediction]) => [originTitle(name), prediction] as const),
  ];
  const slowest = Math.max(...all.map(([, { iterationMs, feasible }]) => (feasible ? iterationMs : 0)));
  const rows = all.map(([name, { iterationMs, feasible }], i) =>
    element(
      'li',
      {},
      element('span', {}, name),
      bar(feasible ? iterationMs / slowest : 0, i === 0 ? 'chosen' : 'other'),
      element('b', {}, feasible ? duration(iterationMs) : 'does not fit'),
    ),
  );
  return panel(
    'comparison',
    'Beside the baselines',
    'Time of an iteration, simulated: shorter is better.',
    element('ul', { class: 'bars' }, ...rows),
  );
}

export function leversPanel({ explanation: { levers } }: PageData): HTMLElement {
  const { helpful, useless } = helpfulLevers(levers);
  const most = Math.max(0.01, ...helpful.map(({ gain, feasible }) => (feasible ? gain : 0)));
  const others = uselessInWords(useless, helpful.length === 0);
  const rows = helpful.map(({ change, gain, feasible }) =>
    element(
      'li',
      {},
      element('span', {}, change),
      bar(feasible ? gain / most : 0, 'lever'),
      element('b', {}, feasible ? `${gain < 0 ? '−' : '+'}${percent(Math.abs(gain))}` : 'does not fit'),
    ),
  );
  return panel(
    'levers',
    'What would help',
    'More samples a second with the same strategy, simulated.',
    ...(rows.length === 0 ? [] : [element('ul', { class: 'bars' }, ...rows)]),
    ...(others === '' ? [] : [element('p', { class: 'caption' }, others)]),
  );
}

/** The search's best over time, or why there is none. */
export function searchPanel(data: PageData): HTMLElement {
  const curve = data.curve ?? [];
  const last = curve.at(-1);
  if (last === undefined) return searchInWords(whyNoCurve(data));
  const times = curve.map(({ iterationMs }) => iterationMs);
  const [least, most] = [Math.min(...times), Math.max(...times)];
  if (least === most) return searchInWords(`${duration(least)} from the start: nothing faster was found.`);
  const [width, height] = [480, 150];
  const x = (seconds: number): number => (seconds / (last.seconds || 1)) * width;
  const y = (ms: number): number => 8 + (height - 16) * (1 - (ms - least) / (most - least));
  const steps = curve.map(
    ({ seconds, iterationMs }, i) => `${i === 0 ? `M0,${y(iterationMs)}` : ''}H${x(seconds)}V${y(iterationMs)}`,
  );
  const drawing = svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      class: 'curve',
      role: 'img',
      'aria-label': 'best iteration time during the search',
      preserveAspectRatio: 'none',
    },
    svg('path', { class: 'area', d: `${steps.join('')}V${height}H0Z` }),
    svg('path', { class: 'stroke', d: steps.join('') }),
  );
  const caption = `from ${duration(most)} to ${duration(least)}, found after ${last.proposals.toLocaleString('en')} proposals, ${duration(last.seconds * 1000)}`;
  return panel(
    'search',
    'Search',
    'The best found so far, over time.',
    drawing,
    element('p', { class: 'caption' }, caption),
  );
}

function searchInWords(text: string): HTMLElement {
  return panel('search', 'Search', '', element('p', { class: 'empty' }, text));
}

function whyNoCurve({ curve, origin, explanation }: PageData): string {
  if (origin !== 'search') return `Nothing was searched: this plan is a baseline (${originTitle(origin)}).`;
  return curve === undefined || explanation.prediction.feasible
    ? 'This plan file does not say how its search went.'
    : 'The search found nothing that fits.';
}
