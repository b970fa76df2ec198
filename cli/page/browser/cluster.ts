import type { PageData } from '../page-data.ts';
import { bar, element, panel } from './dom.ts';
import { percent, time } from './format.ts';
import { deviceColor } from './graph.ts';

/** Links listed by name. */
const MAX_LINKS = 10;

/** Nodes with their devices and how long each computes, and the links by load. */
export function clusterPanel(data: PageData): HTMLElement {
  const { explanation, nodes, deviceTypes } = data;
  const { devices, links, makespanUs } = explanation;
  const boxes = nodes.map(({ name, devices: ids }) =>
    element(
      'li',
      {},
      element('h3', {}, name),
      element('div', { class: 'chips' }, ...ids.map((id) => chip(id))),
      element(
        'div',
        { class: 'port' },
        'out ',
        bar(portShare(name, 'out'), 'link'),
        ' in ',
        bar(portShare(name, 'in'), 'link'),
      ),
    ),
  );
  function chip(id: number): HTMLElement {
    const { device, computeUs, awaitingTransfersUs, awaitingCollectivesUs, awaitingLinksUs, awaitingDevicesUs } =
      devices[id]!;
    const words =
      `${device} (${deviceTypes[id]}): computes ${percent(computeUs / makespanUs)}, awaits transfers ${percent(awaitingTransfersUs / makespanUs)}, ` +
      `sums ${percent(awaitingCollectivesUs / makespanUs)}, links ${percent(awaitingLinksUs / makespanUs)}, devices ${percent(awaitingDevicesUs / makespanUs)}`;
    const level = element('i');
    level.style.height = `${(100 * computeUs) / makespanUs}%`;
    level.style.background = deviceColor(id, devices.length);
    return element('span', { class: 'chip', title: words, role: 'img', 'aria-label': words }, level);
  }
  /** Of the links that lead out of a node, or into it, the busiest. */
  function portShare(node: string, way: 'out' | 'in'): number {
    const within = (point: string): boolean => point === node || point.startsWith(`${node}/`);
    return links.reduce((most, { name, share }) => {
      const [from = '', to = ''] = name.split('>');
      const leads = way === 'out' ? within(from) && !within(to) : within(to) && !within(from);
      return leads ? Math.max(most, share) : most;
    }, 0);
  }
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
