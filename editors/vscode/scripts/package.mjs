// Packs the extension: node scripts/package.mjs [--server FILE] [--target PLATFORM] [--out FILE]
// With --server the executable is bundled and --target (such as linux-x64) says for which machines.

import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const caller = process.cwd();
process.chdir(root);

const { values } = parseArgs({
  options: { server: { type: 'string' }, target: { type: 'string' }, out: { type: 'string' } },
});

fs.rmSync('server', { recursive: true, force: true });
if (values.server !== undefined) {
  if (values.target === undefined) {
    throw new Error('--server needs --target: a bundled executable is for one platform');
  }
  const name = values.target.startsWith('win32') ? 'bigquill.exe' : 'bigquill';
  fs.mkdirSync('server');
  fs.copyFileSync(path.resolve(caller, values.server), path.join('server', name));
  fs.chmodSync(path.join('server', name), 0o755);
}
for (const licence of ['LICENSE-MIT', 'LICENSE-APACHE']) {
  fs.copyFileSync(path.join('..', '..', licence), licence);
}

const node = (script, ...args) => execFileSync(process.execPath, [script, ...args], { stdio: 'inherit' });
node('scripts/build.mjs');
node(
  'node_modules/@vscode/vsce/vsce',
  'package',
  '--no-dependencies',
  '--allow-missing-repository',
  ...(values.target === undefined ? [] : ['--target', values.target]),
  ...(values.out === undefined ? [] : ['--out', path.resolve(caller, values.out)]),
);
