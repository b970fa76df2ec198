import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { readTlsFolder } from '../../runtime/worker/tls-folder.ts';
import { makeCertificate } from '../support/certificates.ts';
import { soapstone } from '../support/soapstone.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const JOB = new URL('../golden/mlp/job.yaml', import.meta.url).pathname;

test('a folder without a pair of certificate and key is told in a sentence, before anything is planned', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, other] = [makeCertificate(), makeCertificate()];
  const files = async (certificate: string, key: string): Promise<void> => {
    await writeFile(join(folder, 'tls.crt'), certificate);
    await writeFile(join(folder, 'tls.key'), key);
    await writeFile(join(folder, 'ca.crt'), one.authority);
  };
  await t.throwsAsync(readTlsFolder(folder), {
    message: /^cannot read tls\.crt in .*: there is no such file; expected/,
  });
  await files(one.certificate, one.key);
  t.deepEqual(await readTlsFolder(folder), one);
  await files(other.certificate, other.key);
  await t.throwsAsync(readTlsFolder(folder), {
    message:
      /^ca\.crt in .* is of ".+", which did not sign tls\.crt; expected the authority that did, ".+": copy all three/,
  });
  await files(one.certificate, other.key);
  await t.throwsAsync(readTlsFolder(folder), {
    message: /^tls\.key in .* is not the key of tls\.crt; expected a pair/,
  });
  await files(one.certificate, 'no key');
  await t.throwsAsync(readTlsFolder(folder), { message: /^tls\.crt or tls\.key in .* cannot be read: .*in PEM$/ });
  const { code, stdout, stderr } = await soapstone('run', JOB, '--tls', folder);
  t.deepEqual([code, stdout], [2, '']);
  t.regex(stderr, /^soapstone: tls\.crt or tls\.key in .*\n$/);
});
