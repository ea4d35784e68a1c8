/**
 * What the server is told of the user's settings.
 *
 * Only values that somebody set are sent: VS Code also gives each key's default, and such a default
 * would outrank the workspace's `bigquill.toml`.
 */

/** The layers of one setting, as `WorkspaceConfiguration.inspect` gives them. */
export interface Inspected {
  readonly globalValue?: unknown;
  readonly workspaceValue?: unknown;
  readonly workspaceFolderValue?: unknown;
}

/** Keys of this extension itself, of no concern to the server. */
const EDITOR_KEYS = ['server.', 'trace.'];

/** The server's setting names among the configuration properties of package.json. */
export function serverKeys(properties: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(properties)
    .map((name) => name.replace(/^bigquill\./, ''))
    .filter((key) => !EDITOR_KEYS.some((prefix) => key.startsWith(prefix)));
}

/** The settings that were set, the narrowest layer winning. */
export function explicitSettings(
  keys: readonly string[],
  inspect: (key: string) => Inspected | undefined,
): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  for (const key of keys) {
    const layers = inspect(key);
    const value = layers?.workspaceFolderValue ?? layers?.workspaceValue ?? layers?.globalValue;
    if (value !== undefined && value !== null) {
      settings[key] = value;
    }
  }
  return settings;
}
