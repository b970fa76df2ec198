import { execFile } from 'node:child_process';
import process from 'node:process';
import { promisify } from 'node:util';
import test from 'ava';

const OWN_CORES = new URL('../../runtime/device/own-cores.ts', import.meta.url).href;

/** The cores that all threads of a process may use after it was told its place, as Linux writes them. */
async function coresOf(index: number, of: number): Promise<string[]> {
  const source = `
    import { readdirSync, readFileSync } from 'node:fs';
    import { keepToOwnCores } from '${OWN_CORES}';
    keepToOwnCores({ index: ${index}, of: ${of} });
    for (const thread of readdirSync('/proc/self/task')) {
      console.log(/^Cpus_allowed_list:\\s*(.*)$/m.exec(readFileSync('/proc/self/task/' + thread + '/status', 'utf8'))[1]);
    }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source]);
  return [...new Set(stdout.trim().split('\n'))];
}

(process.platform === 'linux' ? test : test.skip)('all threads of a device keep to its cores', async (t) => {
  const all = await coresOf(0, 1);
  t.is(all.length, 1);
  const cores = all[0]!.split(',').reduce((count, range) => {
    const [first, last = first] = range.split('-').map(Number);
    return count + last! - first! + 1;
  }, 0);
  const each = await Promise.all(Array.from({ length: cores }, (_, index) => coresOf(index, cores)));
  // As many devices as cores: one each, every one another's.
  if (cores > 1) for (const own of each) t.regex(own.join(' '), /^\d+$/);
  t.is(new Set(each.flat()).size, cores);
});
