import type { PageData, PageOp } from '../page-data.ts';
import { bar, element } from './dom.ts';
import { bytes, percent, time } from './format.ts';
import type { Selection } from './selection.ts';

/** Ops listed where none is selected: as many as the panel shows without being scrolled. */
const MAX_OPS = 12;

/** The explanation of the selected op; of none, the ops that the critical path is spent on. */
export function sidePanel(data: PageData, selection: Selection): HTMLElement {
  const body = element('div', { 'aria-live': 'polite' });
  const find = element('input', {
    type: 'search',
    list: 'op-names',
    placeholder: 'find an op',
    'aria-label': 'find an op',
  });
  const names = element('datalist', { id: 'op-names' }, ...data.ops.map(({ op }) => element('option', { value: op })));
  find.addEventListener('change', () => {
    const at = data.ops.findIndex(({ op }) => op === find.value);
    if (at !== -1) selection.select(at);
  });
  let left: number | undefined;
  const show = (op: number | undefined): void => {
    const hadFocus = body.contains(document.activeElement);
    body.replaceChildren(...(op === undefined ? ranking(data, selection) : opDetails(data.ops[op]!, selection)));
    // What had the focus is gone, and would leave it nowhere: it goes to the way back, or to the row that was left.
    const row = body.querySelector<HTMLElement>(`[data-row="${left}"]`);
    if (hadFocus) (row ?? body.querySelector('button'))?.focus();
    left = op;
  };
  selection.listen(show);
  show(undefined);
  return element('aside', { class: 'panel', 'aria-label': 'explanation' }, find, names, body);
}

function ranking({ ops }: PageData, selection: Selection): HTMLElement[] {
  const order = [...ops.keys()].sort((a, b) => ops[b]!.criticalUs - ops[a]!.criticalUs).slice(0, MAX_OPS);
  const most = ops[order[0] ?? 0]?.criticalShare ?? 1;
  const rows = order.map((id) => {
    const { op, criticalShare } = ops[id]!;
    const button = element(
      'button',
      { type: 'button', 'data-row': id },
      element('span', {}, op),
      bar(criticalShare / (most || 1), 'critical'),
      element('b', {}, percent(criticalShare)),
    );
    button.addEventListener('click', () => selection.select(id));
    return element('li', {}, button);
  });
  return [
    element('h2', {}, 'Where the time goes'),
    element('p', { class: 'hint' }, 'Ops by their share of the critical path. Select one to see why it is as it is.'),
    element('ul', { class: 'ranking' }, ...rows),
  ];
}

function opDetails(op: PageOp, selection: Selection): HTMLElement[] {
  const { dataParallel } = op;
  const back = element('button', { type: 'button', class: 'back' }, '‹ all ops');
  back.addEventListener('click', () => selection.select(undefined));
  const facts: [string, string][] = [
    ['kind', op.kind],
    ['forward', time(op.forwardUs)],
    ['backward', time(op.backwardUs)],
    ['reads from others', bytes(op.receivedBytes)],
    ...(op.frozen.length === 0 ? [] : [['frozen', op.frozen.join(', ')] satisfies [string, string]]),
    ['on the critical path', `${time(op.criticalUs)}, ${percent(op.criticalShare)}`],
  ];
  const cuts = op.cuts.map(({ name, kind, degree }) =>
    element('span', { class: `cut tone-${kind}`, title: `${kind} dimension` }, `${name} / ${degree}`),
  );
  return [
    back,
    element('h2', {}, op.op),
    element('p', { class: 'configuration' }, op.configuration),
    element('p', { class: 'cuts' }, ...cuts),
    element(
      'dl',
      { class: 'pairs' },
      ...facts.flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, value)]),
    ),
    element('h3', {}, 'Data parallel instead?'),
    element(
      'p',
      {},
      dataParallel.isChosen ? 'It is what the plan does: ' : `${dataParallel.configuration}: `,
      dataParallel.isChosen ? dataParallel.configuration : element('strong', {}, dataParallel.reason),
    ),
  ];
}
