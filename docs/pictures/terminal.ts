/**
 * Draws what a command printed as a picture of a terminal, light or dark as the reader's page is.
 * usage: COMMAND 2>&1 | node docs/pictures/terminal.ts '$ COMMAND' > picture.svg
 */
import process from 'node:process';
import { text } from 'node:stream/consumers';

/** Of a monospaced letter of 13 px, which is about 0.6 em wide in every common font. */
const [LETTER_WIDTH, LINE_HEIGHT, MARGIN] = [7.85, 18, 16];

const STYLE =
  'text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre;fill:#1f2328}rect{fill:#f6f8fa}' +
  '.command{font-weight:bold}@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#161b22}}';

function drawTerminal(lines: readonly string[]): string {
  const width = Math.ceil(2 * MARGIN + LETTER_WIDTH * Math.max(...lines.map(({ length }) => length)));
  const height = 2 * MARGIN + LINE_HEIGHT * lines.length;
  const rows = lines.map((line, i) => {
    const kind = line.startsWith('$ ') ? ' class="command"' : '';
    return `<text x="${MARGIN}" y="${MARGIN + LINE_HEIGHT * i + 13}"${kind} xml:space="preserve">${escapeXml(line)}</text>`;
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">\n` +
    `<style>${STYLE}</style>\n<rect width="${width}" height="${height}" rx="6"/>\n${rows.join('\n')}\n</svg>\n`
  );
}

function escapeXml(line: string): string {
  return line.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const output = await text(process.stdin);
process.stdout.write(drawTerminal([...process.argv.slice(2), ...output.trimEnd().split('\n')]));
