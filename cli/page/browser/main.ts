import type { PageData } from '../page-data.ts';
import { clusterPanel } from './cluster.ts';
import { element } from './dom.ts';
import { graphPanel } from './graph.ts';
import { memoryPanel } from './memory.ts';
import { comparisonPanel, leversPanel, overview, searchPanel } from './overview.ts';
import { createSelection } from './selection.ts';
import { sidePanel } from './side-panel.ts';
import { timelinePanel } from './timeline.ts';

const data: PageData = JSON.parse(document.querySelector('#data')?.textContent ?? '');
const selection = createSelection();
document.body.append(
  overview(data),
  element(
    'main',
    {},
    element('div', { class: 'split' }, graphPanel(data, selection), sidePanel(data, selection)),
    timelinePanel(data, selection),
    element('div', { class: 'halves' }, clusterPanel(data), memoryPanel(data)),
    element('div', { class: 'thirds' }, comparisonPanel(data), leversPanel(data), searchPanel(data)),
  ),
);
