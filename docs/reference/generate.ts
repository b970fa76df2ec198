/** Writes job.md, command.md and kubectl.md beside this file. Run by `npm run generate`. */
import { writeFile } from 'node:fs/promises';
import { commandPage, kubectlPage } from './command-page.ts';
import { jobPage } from './job-page.ts';

await writeFile(new URL('job.md', import.meta.url), jobPage());
await writeFile(new URL('command.md', import.meta.url), commandPage());
await writeFile(new URL('kubectl.md', import.meta.url), kubectlPage());
