import * as assert from 'node:assert/strict';
import { test } from 'node:test';
import { Surroundings, locateServer } from '../src/locate.js';

function among(files: string[], changes: Partial<Surroundings> = {}) {
  return locateServer({
    setting: '',
    extensionPath: '/extension',
    platform: 'linux',
    environment: { PATH: '/usr/bin:relative:/home/me/.cargo/bin' },
    homedir: '/home/me',
    isExecutable: (file) => files.includes(file),
    ...changes,
  });
}

const BUNDLED = '/extension/server/bigquill';
const ON_PATH = '/home/me/.cargo/bin/bigquill';

test('the setting wins, then the bundled server, then the PATH', () => {
  const all = ['/opt/bigquill', BUNDLED, ON_PATH];
  assert.deepEqual(among(all, { setting: '/opt/bigquill' }), { path: '/opt/bigquill', source: 'setting' });
  assert.deepEqual(among(all), { path: BUNDLED, source: 'bundled' });
  assert.deepEqual(among([ON_PATH]), { path: ON_PATH, source: 'PATH' });
  assert.equal(among([]), undefined);
});

test('a setting that names nothing is not passed over', () => {
  assert.equal(among([BUNDLED], { setting: '/gone/bigquill' }), undefined);
});

test('a tilde is the home folder', () => {
  assert.equal(among(['/home/me/bin/bigquill'], { setting: '~/bin/bigquill' })?.path, '/home/me/bin/bigquill');
});

test('a relative folder of the PATH is not searched: it would be the workspace', () => {
  assert.equal(among(['relative/bigquill']), undefined);
});
