// Writes the server's settings into package.json and docs/editors.md from the schema that the server generates.
// A test holds the three together.

import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { documented, rewritten } from './schema.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manual = path.join(root, '../../docs/editors.md');
const manifest = path.join(root, 'package.json');
const schema = JSON.parse(fs.readFileSync(path.join(root, '../../server/settings.schema.json'), 'utf8'));
fs.writeFileSync(manifest, rewritten(fs.readFileSync(manifest, 'utf8'), schema));
fs.writeFileSync(manual, documented(fs.readFileSync(manual, 'utf8'), schema));
