/** `kubectl_complete-soapstone`, which kubectl runs for the tab key behind `kubectl soapstone`. */
import process from 'node:process';
import { parseArguments } from '../command-line/arguments.ts';
import { ACCESS_OPTIONS, openCluster } from './access.ts';
import { complete } from './complete.ts';
import { listJobResources } from './job-objects.ts';

/** A tab that takes longer is worse than one that completes nothing. */
const PATIENCE_MS = 3000;

/** Names of the jobs where the options typed so far point to; none where the cluster does not answer, since a tab is no place for errors. */
async function jobNames(words: readonly string[]): Promise<string[]> {
  try {
    const resources = await listJobResources(openCluster(parseArguments(words, ACCESS_OPTIONS, '', 'kubectl')), false);
    return resources.flatMap(({ metadata: { name } }) => (name === undefined ? [] : [name]));
  } catch {
    return [];
  }
}

setTimeout(() => process.exit(1), PATIENCE_MS).unref();
process.stdout.write(await complete(process.argv.slice(2), jobNames));
