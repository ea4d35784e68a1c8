type Json = Record<string, unknown>;
export function properties(schema: unknown): Record<string, Json>;
export function rewritten(manifest: string, schema: unknown): string;
export function documented(text: string, schema: unknown): string;
