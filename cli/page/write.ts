import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { PageData } from './page-data.ts';

/**
 * The page as one file. It asks for nothing from anywhere, which its content security policy makes certain. What comes from a
 * model or cluster file is in a JSON block, and reaches the document as text only.
 */
export async function pageHtml(data: PageData): Promise<string> {
  const [style, script] = await Promise.all([readFile(new URL('style.css', import.meta.url), 'utf8'), bundle()]);
  const { model, cluster } = data.explanation;
  const policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escapeHtml(`${model} on ${cluster}`)} - Soapstone</title>
<style>
${style}</style>
</head>
<body>
<noscript>This page draws with JavaScript; allow it, or use soapstone explain PLAN for the same as text.</noscript>
<script type="application/json" id="data">${JSON.stringify(data).replaceAll('<', String.raw`\u003c`)}</script>
<script>
${script.replaceAll('</script', String.raw`<\/script`)}</script>
</body>
</html>
`;
}

async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('browser/main.ts', import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    target: 'es2022',
    logLevel: 'silent',
  });
  return outputFiles[0]!.text;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
