import test from 'ava';
import { Progress } from '../../cli/terminal/progress.ts';

const DETAILS = 'step 1234/9999, loss 0.1234, 321 samples/s';

/** What a terminal of so many columns shows of work that is half done. */
function shownOn(columns: number): string | undefined {
  const written: string[] = [];
  const stream = { isTTY: true, columns, write: (text: string) => written.push(text) > 0 };
  new Progress('training', stream, 'xterm').update(0.5, DETAILS);
  return written.at(-1)?.replace('\r\u001B[2K', '');
}

test('the bar, the label and the share give way to what a narrow terminal should tell, in that order', (t) => {
  const cases: readonly [columns: number, line: string][] = [
    [100, `training ${'█'.repeat(12)}${'░'.repeat(12)}  50%  ${DETAILS}`],
    [67, `training ████░░░░  50%  ${DETAILS}`],
    [66, `training  50%  ${DETAILS}`],
    [58, `training  50%  ${DETAILS}`],
    [57, `50%  ${DETAILS}`],
    [48, `50%  ${DETAILS}`],
    [47, DETAILS],
    [40, 'step 1234/9999, loss 0.1234, 321 sample'],
  ];
  for (const [columns, line] of cases) t.is(shownOn(columns), line, `${columns} columns`);
});
