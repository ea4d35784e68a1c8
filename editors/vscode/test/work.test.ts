import * as assert from 'node:assert/strict';
import { test } from 'node:test';
import { Work, statusText } from '../src/work.js';

test('the newest work is shown until it ends, its title kept', () => {
  const work = new Work();
  assert.equal(work.current(), undefined);
  work.take('a', { kind: 'begin', title: 'Loading model' });
  work.take('b', { kind: 'begin', title: 'Generating SQL' });
  work.take('b', { kind: 'report', message: 'checking' });
  assert.equal(work.current(), 'Generating SQL: checking');
  work.take('b', { kind: 'end' });
  assert.equal(work.current(), 'Loading model');
  work.clear();
  assert.equal(work.current(), undefined);
});

test('each state has its own text', () => {
  assert.equal(statusText('running', undefined).text, '$(database) bigquill');
  assert.match(statusText('running', 'Generating SQL').tooltip, /Generating SQL/);
  assert.match(statusText('running', 'Generating SQL').text, /spin/);
  assert.equal(statusText('stopped', undefined).warning, true);
  assert.equal(statusText('missing', undefined).warning, true);
});
