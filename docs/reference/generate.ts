/** Writes job.md, command.md, kubectl.md and onnx.md beside this file. Run by `npm run generate`. */
import { writeFile } from 'node:fs/promises';
import { commandPage, kubectlPage } from './command-page.ts';
import { jobPage } from './job-page.ts';
import { onnxPage } from './onnx-page.ts';

await writeFile(new URL('job.md', import.meta.url), jobPage());
await writeFile(new URL('command.md', import.meta.url), commandPage());
await writeFile(new URL('onnx.md', import.meta.url), onnxPage());
await writeFile(new URL('kubectl.md', import.meta.url), kubectlPage());
