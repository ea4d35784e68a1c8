import * as assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { test } from 'node:test';
import { documented, properties, rewritten } from '../scripts/schema.mjs';
import { explicitSettings, serverKeys } from '../src/settings.js';

const root = path.dirname(__dirname);
const manifestText = fs.readFileSync(path.join(root, 'package.json'), 'utf8');
const manifest = JSON.parse(manifestText);
const configured: Record<string, unknown> = manifest.contributes.configuration.properties;
const schema = JSON.parse(fs.readFileSync(path.join(root, '../../server/settings.schema.json'), 'utf8'));

test('package.json has the settings of the server, key by key', () => {
  const expected = properties(schema);
  const actual = Object.fromEntries(serverKeys(configured).map((key) => [`bigquill.${key}`, configured[`bigquill.${key}`]]));
  assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), 'names differ: run `npm run settings`');
  for (const [name, property] of Object.entries(expected)) {
    assert.deepEqual(actual[name], property, `${name} differs from the server's schema: run \`npm run settings\``);
  }
});

test('names, types, defaults and descriptions are those of the schema', () => {
  for (const [key, value] of Object.entries<Record<string, unknown>>(schema.properties)) {
    const property = configured[`bigquill.${key}`] as Record<string, unknown>;
    assert.equal(property['markdownDescription'], value['description'], key);
    assert.deepEqual(property['default'], value['default'], key);
    if (value['type'] !== undefined) {
      assert.deepEqual(property['type'], value['type'], key);
    }
  }
});

test('docs/editors.md has the same settings', () => {
  const manual = fs.readFileSync(path.join(root, '../../docs/editors.md'), 'utf8');
  assert.equal(manual, documented(manual, schema), 'run `npm run settings`');
});

test('a changed, a missing and an unknown key are all noticed', () => {
  const small = {
    properties: {
      device: { $ref: '#/$defs/Device', description: 'Where it runs.', default: 'cpu' },
      threads: { type: ['integer', 'null'], format: 'uint', minimum: 1, default: null, description: 'Threads.' },
    },
    $defs: { Device: { description: 'A device.', oneOf: [{ const: 'cpu', type: 'string', description: 'The processor.' }] } },
  };
  assert.deepEqual(properties(small), {
    'bigquill.device': {
      type: 'string',
      enum: ['cpu'],
      enumDescriptions: ['The processor.'],
      default: 'cpu',
      markdownDescription: 'Where it runs.',
    },
    'bigquill.threads': { type: ['integer', 'null'], minimum: 1, default: null, markdownDescription: 'Threads.' },
  });
  const outcome = JSON.parse(rewritten(manifestText, small)).contributes.configuration.properties;
  assert.deepEqual(serverKeys(outcome), ['device', 'threads']);
  assert.ok('bigquill.server.path' in outcome);
});

test('no reference to a definition is left for VS Code', () => {
  assert.ok(!JSON.stringify(configured).includes('$ref'));
});

test('only what somebody set is sent, the narrowest layer winning', () => {
  const layers: Record<string, object> = {
    project: { defaultValue: null },
    model: { defaultValue: 'a', globalValue: 'b', workspaceValue: 'c' },
    seed: { globalValue: 0 },
    diagnostics: { defaultValue: true, globalValue: true, workspaceFolderValue: false },
    threads: { globalValue: null },
  };
  assert.deepEqual(
    explicitSettings([...Object.keys(layers), 'unknown'], (key) => layers[key]),
    { model: 'c', seed: 0, diagnostics: false },
  );
});

test('package.json asks for nothing that is not stable or pinned', () => {
  assert.equal(manifest.enabledApiProposals, undefined);
  const minimum = manifest.engines.vscode.replace('^', '');
  assert.equal(manifest.devDependencies['@types/vscode'], minimum, 'checked against the oldest VS Code it runs in');
  for (const version of Object.values<string>({ ...manifest.dependencies, ...manifest.devDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+$/);
  }
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  for (const [name, entry] of Object.entries<Record<string, unknown>>(lock.packages)) {
    assert.equal(entry['resolved'], undefined, `${name} records where it came from`);
  }
});

test('every command is registered and every registered command contributed', () => {
  const source = fs.readFileSync(path.join(root, 'src/extension.ts'), 'utf8');
  const registered = [...source.matchAll(/command\('(bigquill\.\w+)'/g)].map((match) => match[1]);
  const contributed = manifest.contributes.commands.map((entry: { command: string }) => entry.command);
  assert.deepEqual(registered.sort(), contributed.sort());
});
