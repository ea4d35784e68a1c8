// From the server's settings schema to VS Code's configuration. Pure: scripts/settings.mjs does the files.

/** The extension's own settings, which the server does not know. */
const OWN = /^bigquill\.(server|trace)\./;

/**
 * VS Code's configuration properties for the server's settings: the same names, types, limits,
 * defaults and descriptions. References are resolved, for VS Code knows none here, and variants
 * that are constants become an `enum`.
 */
export function properties(schema) {
  const result = {};
  for (const [key, property] of Object.entries(schema.properties)) {
    result[`bigquill.${key}`] = described(resolve(property, schema));
  }
  return result;
}

/** package.json's text with the server's settings of `schema` in it. */
export function rewritten(manifest, schema) {
  const value = JSON.parse(manifest);
  const configuration = value.contributes.configuration;
  const own = Object.entries(configuration.properties).filter(([name]) => OWN.test(name));
  configuration.properties = { ...Object.fromEntries(own), ...properties(schema) };
  return JSON.stringify(value, null, 2) + '\n';
}

/** The settings as a Markdown table. */
export function table(schema) {
  const rows = Object.entries(schema.properties).map(([key, property]) => {
    const value = property.default === null ? 'unset' : `\`${JSON.stringify(property.default)}\``;
    return `| \`${key}\` | ${value} | ${property.description.replaceAll('|', '\\|')} |\n`;
  });
  return '| key | default | meaning |\n|---|---|---|\n' + rows.join('');
}

/** The text of docs/editors.md with the table between its two marks. */
export function documented(text, schema) {
  const marks = /(<!-- settings:[^\n]*-->\n)[^]*?(<!-- end of settings -->)/;
  if (!marks.test(text)) {
    throw new Error('docs/editors.md has lost the marks around its table of settings');
  }
  return text.replace(marks, (_, start, end) => start + table(schema) + end);
}

/** A copy of `node` with every `$ref` replaced by what it names; keys beside a reference win. */
function resolve(node, schema) {
  if (Array.isArray(node)) {
    return node.map((entry) => resolve(entry, schema));
  }
  if (node === null || typeof node !== 'object') {
    return node;
  }
  const { $ref, ...rest } = node;
  const own = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, resolve(value, schema)]));
  if ($ref === undefined) {
    return constants(own);
  }
  const target = $ref.replace(/^#\//, '').split('/').reduce((value, key) => value[key], schema);
  return { ...resolve(target, schema), ...own };
}

/** `oneOf` constants as `enum`, with their descriptions where VS Code shows them. */
function constants(node) {
  if (!Array.isArray(node.oneOf) || !node.oneOf.every((variant) => 'const' in variant)) {
    return node;
  }
  const { oneOf, ...rest } = node;
  return {
    ...rest,
    type: 'string',
    enum: oneOf.map((variant) => variant.const),
    enumDescriptions: oneOf.map((variant) => variant.description ?? ''),
  };
}

/** Rust's integer formats mean nothing to VS Code; descriptions are Markdown. */
function described({ format: _, description, ...rest }) {
  return { ...rest, markdownDescription: description };
}
