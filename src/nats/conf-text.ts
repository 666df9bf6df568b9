/** A value in a NATS configuration file. */
export type ConfValue = string | number | boolean | Variable | ConfValue[] | ConfBlock;

export interface ConfBlock {
  [key: string]: ConfValue;
}

/** A value that the server takes from its environment. */
export interface Variable {
  $env: string;
}

/** Up to here a list or a block within a list stays on one line. */
const LINE_WIDTH = 100;

/**
 * Writes a configuration in the order of its keys, a blank line around each block at the top.
 * Syntax: https://docs.nats.io/running-a-nats-service/configuration
 */
export function renderConf(conf: ConfBlock): string {
  return Object.entries(conf)
    .map(([key, value]) => renderSetting(key, value, ''))
    .reduce((text, setting) => {
      const apart = setting.includes('\n') || text.endsWith('}\n');
      return `${text}${apart && text !== '' ? '\n' : ''}${setting}\n`;
    }, '');
}

function renderSetting(key: string, value: ConfValue, indent: string): string {
  if (isBlock(value)) return `${indent}${key} ${renderBlock(value, indent)}`;
  return `${indent}${key}: ${renderValue(value, indent)}`;
}

function renderValue(value: ConfValue, indent: string): string {
  const line = inline(value);
  if (indent.length + line.length <= LINE_WIDTH) return line;
  if (Array.isArray(value)) {
    const items = value.map((item) => `${indent}  ${renderValue(item, `${indent}  `)}\n`);
    return `[\n${items.join('')}${indent}]`;
  }
  return isBlock(value) ? renderBlock(value, indent) : line;
}

function renderBlock(block: ConfBlock, indent: string): string {
  const settings = Object.entries(block).map(([key, value]) => `${renderSetting(key, value, `${indent}  `)}\n`);
  return `{\n${settings.join('')}${indent}}`;
}

function inline(value: ConfValue): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`;
  if (isVariable(value)) return `$${value.$env}`;
  if (!isBlock(value)) return JSON.stringify(value);
  const settings = Object.entries(value).map(([key, inner]) => `${key}: ${inline(inner)}`);
  return `{ ${settings.join(', ')} }`;
}

function isVariable(value: ConfValue): value is Variable {
  return typeof value === 'object' && !Array.isArray(value) && typeof value.$env === 'string';
}

/** Tells blocks of settings from everything else. */
export function isBlock(value: ConfValue): value is ConfBlock {
  return typeof value === 'object' && !Array.isArray(value) && !isVariable(value);
}
