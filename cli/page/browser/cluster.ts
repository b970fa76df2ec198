import { endsOfLink, nodesOfPoints } from '../../../soap/explain/places.ts';
import type { PageData } from '../page-data.ts';
import { bar, element, panel } from './dom.ts';
import { percent, time } from './format.ts';
import { deviceColor } from './graph.ts';

/** Links listed by name. */
const MAX_LINKS = 10;

/** Nodes with their devices and how long each computes, and the links by load. */
export function clusterPanel(data: PageData): HTMLElement {
  const { nodes, explanation } = data;
  const { links } = explanation;
  const shares = portShares(data);
  const boxes = nodes.map(({ name, devices }) =>
    element(
      'li',
      {},
      element('h3', {}, name),
      element('div', { class: 'chips' }, ...devices.map((id) => chip(data, id))),
      element(
        'div',
        { class: 'port' },
        'out ',
        bar(shares.out.get(name) ?? 0, 'link'),
        ' in ',
        bar(shares.in.get(name) ?? 0, 'link'),
      ),
    ),
  );
  const rows = links
    .slice(0, MAX_LINKS)
    .map(({ name, share, busyUs }) =>
      element(
        'li',
        {},
        element('span', {}, name),
        bar(share, 'link'),
        element('b', { title: time(busyUs) }, percent(share)),
      ),
    );
  return panel(
    'cluster',
    'Cluster',
    'Level: share of the iteration that a device computes. Bars: share that a link is in use.',
    element('ul', { class: 'nodes' }, ...boxes),
    rows.length === 0
      ? element('p', { class: 'empty' }, 'No link is used.')
      : element('ul', { class: 'bars' }, ...rows),
  );
}

/** A device as a level of what it computes, with what else it does and awaits in words. */
function chip({ explanation, deviceTypes }: PageData, id: number): HTMLElement {
  const { devices, makespanUs } = explanation;
  const budget = devices[id]!;
  const share = (us: number): string => percent(us / makespanUs);
  const words =
    `${budget.device} (${deviceTypes[id]}): computes ${share(budget.computeUs)}, updates ${share(budget.updatesUs)}, ` +
    `awaits transfers ${share(budget.awaitingTransfersUs)}, sums ${share(budget.collectivesUs + budget.awaitingCollectivesUs)}, ` +
    `links ${share(budget.awaitingLinksUs)}, devices ${share(budget.awaitingDevicesUs)}, has finished ${share(budget.finishedUs)}`;
  const level = element('i');
  level.style.height = `${(100 * budget.computeUs) / makespanUs}%`;
  level.style.background = deviceColor(id, devices.length);
  return element('span', { class: 'chip', title: words, role: 'img', 'aria-label': words }, level);
}

/** By node: of the links that lead out of it, and of those that lead into it, the share of the busiest. */
function portShares({ explanation, nodes }: PageData): Record<'out' | 'in', ReadonlyMap<string, number>> {
  const nodeOf = nodesOfPoints(
    nodes.flatMap(({ name, devices }) => devices.map((id) => ({ name: explanation.devices[id]!.device, node: name }))),
  );
  const shares = { out: new Map<string, number>(), in: new Map<string, number>() };
  for (const { name, share } of explanation.links) {
    const [from, to] = endsOfLink(name).map(nodeOf);
    if (from === to) continue;
    if (from !== undefined) shares.out.set(from, Math.max(share, shares.out.get(from) ?? 0));
    if (to !== undefined) shares.in.set(to, Math.max(share, shares.in.get(to) ?? 0));
  }
  return shares;
}
