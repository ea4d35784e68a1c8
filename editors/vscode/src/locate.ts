/** Finds the server's executable. Knows nothing of VS Code. */

import * as path from 'node:path';

/** Where the server was found. */
export interface Located {
  readonly path: string;
  readonly source: 'setting' | 'bundled' | 'PATH';
}

/** What the search depends on. */
export interface Surroundings {
  /** The setting `bigquill.server.path`; empty when unset. */
  readonly setting: string;
  /** The extension's folder. */
  readonly extensionPath: string;
  readonly platform: NodeJS.Platform;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly homedir: string;
  /** Whether there is an executable file. */
  readonly isExecutable: (file: string) => boolean;
}

/**
 * The server to start: the setting's, else the bundled one, else the one on the PATH.
 * `undefined` when there is none; a setting that names no executable is not passed over.
 */
export function locateServer(where: Surroundings): Located | undefined {
  if (where.setting !== '') {
    const file = expandHome(where.setting, where.homedir);
    return where.isExecutable(file) ? { path: file, source: 'setting' } : undefined;
  }
  const name = where.platform === 'win32' ? 'bigquill.exe' : 'bigquill';
  const bundled = path.join(where.extensionPath, 'server', name);
  if (where.isExecutable(bundled)) {
    return { path: bundled, source: 'bundled' };
  }
  const separator = where.platform === 'win32' ? ';' : ':';
  const folders = (where.environment['PATH'] ?? where.environment['Path'] ?? '').split(separator);
  for (const folder of folders.filter((folder) => path.isAbsolute(folder))) {
    const file = path.join(folder, name);
    if (where.isExecutable(file)) {
      return { path: file, source: 'PATH' };
    }
  }
  return undefined;
}

function expandHome(file: string, homedir: string): string {
  return file === '~' || file.startsWith('~/') ? path.join(homedir, file.slice(1)) : file;
}
