// Bundles the extension into dist/extension.js, or with --tests each test into dist-test/.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

const common = { bundle: true, platform: 'node', format: 'cjs', target: 'node20', logLevel: 'warning' };

if (process.argv.includes('--tests')) {
  fs.rmSync('dist-test', { recursive: true, force: true });
  const tests = fs.readdirSync('test').filter((file) => file.endsWith('.test.ts'));
  await build({
    ...common,
    entryPoints: tests.map((file) => path.join('test', file)),
    outdir: 'dist-test',
    outExtension: { '.js': '.cjs' },
    sourcemap: 'inline',
    external: ['vscode'],
  });
} else {
  const { metafile } = await build({
    ...common,
    entryPoints: ['src/extension.ts'],
    outfile: 'dist/extension.js',
    external: ['vscode'],
    minify: true,
    metafile: true,
  });
  fs.writeFileSync('THIRD-PARTY-NOTICES.txt', notices(Object.keys(metafile.inputs)));
}

/** The licence texts of the packages that went into the bundle. */
function notices(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const folder = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1];
    if (folder !== undefined) {
      folders.add(folder);
    }
  }
  return [...folders].sort().map(notice).join('\n----\n\n');
}

function notice(folder) {
  const { name, version, license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const file = fs.readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) {
    throw new Error(`${name} is bundled but has no licence file`);
  }
  return `${name} ${version} (${license})\n\n${fs.readFileSync(path.join(folder, file), 'utf8').trim()}\n`;
}
