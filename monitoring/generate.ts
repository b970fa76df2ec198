/** Writes dashboards and alerts into the chart. Run by `npm run generate`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { generatedFiles } from './generated.ts';

const CHART = new URL('../charts/soapstone/', import.meta.url);

await mkdir(new URL('dashboards/', CHART), { recursive: true });
for (const [path, text] of generatedFiles()) await writeFile(new URL(path, CHART), text);
