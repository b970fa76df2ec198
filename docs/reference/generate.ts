/** Writes job.md and command.md beside this file. Run by `npm run generate`. */
import { writeFile } from 'node:fs/promises';
import { commandPage } from './command-page.ts';
import { jobPage } from './job-page.ts';

await writeFile(new URL('job.md', import.meta.url), jobPage());
await writeFile(new URL('command.md', import.meta.url), commandPage());
